/** Loops of a script → how often they turn, and what leaves them. */
import type { CommandCall } from './command-call.ts';
import type { Script } from './program.ts';
import { callSitesOf } from './scopes.ts';
import { argumentsOf, type FunctionNode, isCall, isLoop, type LoopNode, type Node } from './syntax.ts';
import { numberOf, type Value } from './values.ts';

/** How often a loop turns. */
export type Bound =
  | { kind: 'constant'; count: number }
  /** By #KEYS: the request bounds it. */
  | { kind: 'keys' }
  /** By an argument's value or #ARGV: the client bounds it. */
  | { kind: 'argv' }
  /** By the size of a reply: the data set bounds it. */
  | { kind: 'reply'; call: CommandCall }
  /** `while true`, `repeat until false`, or a condition that only data ends. */
  | { kind: 'open' }
  | { kind: 'unknown' };

export interface Loop {
  node: LoopNode;
  bound: Bound;
  /** The `break` and `return` statements that leave it. */
  exits: Node[];
}

/** Loops around a node, innermost first; if it stands in a local function, also those around its calls. */
export function loopsAround(script: Script, node: Node, seen = new Set<FunctionNode>()): Loop[] {
  const loops: Loop[] = [];
  for (let child = node, at = script.scopes.parentOf(node); at; child = at, at = script.scopes.parentOf(at)) {
    if (isLoop(at) && turns(at, child)) loops.push(loopOf(script, at));
    if (at.type === 'FunctionDeclaration') {
      if (!seen.has(at)) {
        seen.add(at);
        for (const site of callSitesOf(script.scopes, at) ?? []) loops.push(...loopsAround(script, site, seen));
      }
      break;
    }
  }
  return loops;
}

export function loopOf(script: Script, node: LoopNode): Loop {
  const exits = script.scopes.inside(node).filter((exit) => {
    if (exit.type !== 'BreakStatement' && exit.type !== 'ReturnStatement') return false;
    for (let at = script.scopes.parentOf(exit); at; at = script.scopes.parentOf(at)) {
      if (at === node) return true;
      if (at.type === 'FunctionDeclaration' || (exit.type === 'BreakStatement' && isLoop(at))) return false;
    }
    return false;
  });
  return { node, bound: boundOf(script, node), exits };
}

/** Whether a child of a loop runs once per turn: iterators and limits run once. */
function turns(loop: LoopNode, child: Node): boolean {
  if (loop.type === 'WhileStatement' || loop.type === 'RepeatStatement') return true;
  return (loop.body as Node[]).includes(child);
}

function boundOf(script: Script, node: LoopNode): Bound {
  switch (node.type) {
    case 'ForNumericStatement': {
      const [start, end, step] = [node.start, node.end, node.step].map((part) => part && script.valueOf(part));
      const [from, to, by] = [numberOf(start!), numberOf(end!), step ? numberOf(step) : 1];
      if (from !== undefined && to !== undefined && by !== undefined && by !== 0) {
        return { kind: 'constant', count: Math.max(0, Math.floor((to - from) / by) + 1) };
      }
      // Downwards from a size: `for i = #t, 1, -1`.
      return boundOfValue(script, to === undefined ? end! : start!);
    }
    case 'ForGenericStatement': {
      const [iterator] = node.iterators;
      if (iterator === undefined || !isCall(iterator)) return { kind: 'unknown' };
      const [subject] = argumentsOf(iterator);
      const name = script.libraryOf(iterator);
      if (subject === undefined || (name !== 'pairs' && name !== 'ipairs')) return { kind: 'unknown' };
      return boundOfValue(script, script.valueOf(subject));
    }
    case 'WhileStatement':
    case 'RepeatStatement': {
      const value = script.valueOf(node.condition);
      if (value.kind === 'literal') {
        const turns = value.value !== false && value.value !== null;
        return turns === (node.type === 'WhileStatement') ? { kind: 'open' } : { kind: 'constant', count: 1 };
      }
      return { kind: 'open' };
    }
  }
}

function boundOfValue(script: Script, value: Value): Bound {
  switch (value.kind) {
    case 'keys':
    case 'argv':
      return { kind: value.kind };
    case 'global':
      return value.name === 'KEYS' ? { kind: 'keys' } : value.name === 'ARGV' ? { kind: 'argv' } : { kind: 'unknown' };
    case 'reply':
      return { kind: 'reply', call: value.call };
    case 'table':
      return { kind: 'constant', count: value.node.fields.length };
    case 'length':
    case 'element':
      return boundOfValue(script, value.of);
    case 'library':
      return value.args[0] === undefined ? { kind: 'unknown' } : boundOfValue(script, value.args[0]);
    case 'arithmetic':
    case 'union': {
      const bounds = (value.kind === 'union' ? value.options : value.operands).map((part) =>
        boundOfValue(script, part),
      );
      return (
        bounds.find(({ kind }) => kind === 'reply') ??
        bounds.find(({ kind }) => kind === 'argv') ??
        bounds.find(({ kind }) => kind === 'keys') ?? { kind: 'unknown' }
      );
    }
    default:
      return { kind: 'unknown' };
  }
}
