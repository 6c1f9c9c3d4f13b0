/** An expression → where its value goes. */
import type { CommandCall } from './command-call.ts';
import type { Script } from './program.ts';
import { callSitesOf, isMulti, type Variable } from './scopes.ts';
import {
  argumentsOf,
  type CallNode,
  type Expression,
  isCall,
  isLoop,
  type LoopNode,
  type Node,
  rangeOf,
} from './syntax.ts';

/** Where a value goes. `node` is the place. */
export type Use =
  /** An argument of a command: `index` in `call.args`, -1 for the command's name. */
  | { kind: 'argument'; node: Expression; call: CommandCall; index: number }
  /** An argument of a global function that is no command: `redis.sha1hex`, `string.find`, `ipairs`. */
  | { kind: 'library'; node: CallNode; name: string; index: number }
  | { kind: 'compared'; node: Extract<Node, { type: 'BinaryExpression' }>; other: Expression }
  /** Operand of `+ - * / % ^` or unary minus. */
  | { kind: 'arithmetic'; node: Expression }
  /** Operand of `..`; what comes out is followed on. */
  | { kind: 'concatenated'; node: Expression }
  /** Tested for truth: `if x`, `not x`, the left of `and`. */
  | { kind: 'tested'; node: Expression }
  | { kind: 'returned'; node: Node }
  /** The table in `t[k]` or `t.k`; `key` where it is constant. */
  | { kind: 'indexed'; node: Expression; key: string | number | undefined }
  /** The key in `t[k]`. */
  | { kind: 'index'; node: Expression }
  /** Put into a table. */
  | { kind: 'stored'; node: Node }
  | { kind: 'length'; node: Expression }
  /** What a `for … in` goes through. */
  | { kind: 'iterated'; node: LoopNode }
  /** Anything else: passed to a function that is not known. */
  | { kind: 'other'; node: Node };

/** What `usesOf` follows beyond names. */
export interface Through {
  /** Results of `..`; followed unless false. */
  concatenation?: false;
  /** Results of arithmetic. */
  arithmetic?: boolean;
  /** `x[1]`, `x.err`. */
  elements?: boolean;
  /** Results of library functions, given the index of the argument. */
  library?(name: string, index: number): boolean;
}

/**
 * Where the value of an expression goes: through locals, parameters of local functions, returns of local functions,
 * parentheses, `and`/`or`, and what `through` lets pass. Each place once.
 */
export function usesOf(script: Script, node: Expression, through: Through = {}): Use[] {
  const uses: Use[] = [];
  collectUses(script, node, through, uses, new Set());
  return uses;
}

function collectUses(script: Script, node: Expression, through: Through, uses: Use[], seen: Set<Node>): void {
  if (seen.has(node)) return;
  seen.add(node);
  const follow = (next: Expression) => collectUses(script, next, through, uses, seen);
  const parent = script.scopes.parentOf(node);
  if (parent === undefined) return;
  switch (parent.type) {
    case 'LocalStatement':
    case 'AssignmentStatement': {
      const i = (parent.init as Node[]).indexOf(node);
      const targets = i === parent.init.length - 1 && isMulti(node) ? parent.variables.slice(i) : [parent.variables[i]];
      for (const [result, target] of targets.entries()) {
        if (target === undefined || (result > 0 && !carries(script, node, result))) continue;
        const variable = target.type === 'Identifier' ? script.scopes.variableOf(target) : undefined;
        if (variable === undefined) uses.push({ kind: 'stored', node: parent });
        else for (const read of readsAfter(script, variable, parent)) follow(read);
      }
      return;
    }
    case 'ReturnStatement': {
      uses.push({ kind: 'returned', node: parent });
      const fn = script.scopes.functionOf(parent);
      if (fn && parent.arguments[0] === node) for (const site of callSitesOf(script.scopes, fn) ?? []) follow(site);
      return;
    }
    case 'LogicalExpression':
      if (node === parent.left) uses.push({ kind: 'tested', node });
      if (node === parent.right || parent.operator === 'or') follow(parent);
      return;
    case 'UnaryExpression':
      if (parent.operator === 'not') uses.push({ kind: 'tested', node });
      else if (parent.operator === '#') uses.push({ kind: 'length', node: parent });
      else uses.push({ kind: 'arithmetic', node: parent });
      return;
    case 'BinaryExpression': {
      const other = parent.left === node ? parent.right : parent.left;
      if (parent.operator === '..') {
        uses.push({ kind: 'concatenated', node: parent });
        if (through.concatenation !== false) follow(parent);
      } else if (['==', '~=', '<', '<=', '>', '>='].includes(parent.operator)) {
        uses.push({ kind: 'compared', node: parent, other });
      } else {
        uses.push({ kind: 'arithmetic', node: parent });
        if (through.arithmetic) follow(parent);
      }
      return;
    }
    case 'MemberExpression':
      if (parent.base !== node) return;
      if (parent.indexer === ':') {
        const method = script.scopes.parentOf(parent);
        if (method && isCall(method)) libraryUse(script, method, 0, through, uses, follow);
        return;
      }
      uses.push({ kind: 'indexed', node: parent, key: parent.identifier.name });
      if (through.elements) follow(parent);
      return;
    case 'IndexExpression': {
      if (parent.base !== node) return void uses.push({ kind: 'index', node: parent });
      const key = script.valueOf(parent.index);
      const constant = key.kind === 'literal' && typeof key.value !== 'boolean' ? (key.value ?? undefined) : undefined;
      uses.push({ kind: 'indexed', node: parent, key: constant });
      if (through.elements) follow(parent);
      return;
    }
    case 'TableValue':
    case 'TableKey':
    case 'TableKeyString':
      uses.push({ kind: 'stored', node: parent });
      return;
    case 'IfClause':
    case 'ElseifClause':
    case 'WhileStatement':
    case 'RepeatStatement':
      uses.push({ kind: 'tested', node });
      return;
    case 'ForGenericStatement':
      uses.push({ kind: 'iterated', node: parent });
      return;
    case 'CallExpression':
    case 'TableCallExpression':
    case 'StringCallExpression':
      callUse(script, parent, node, through, uses, follow);
      return;
    default:
      uses.push({ kind: 'other', node: parent });
  }
}

function callUse(
  script: Script,
  parent: CallNode,
  node: Expression,
  through: Through,
  uses: Use[],
  follow: (next: Expression) => void,
): void {
  const index = argumentsOf(parent).indexOf(node);
  if (index < 0) return;
  const call = script.commandCallOf(parent);
  if (call) {
    const position = call.argumentNodes.indexOf(node);
    if (position >= 0) uses.push({ kind: 'argument', node, call, index: position - 1 });
    return;
  }
  if (script.libraryOf(parent) !== undefined) {
    libraryUse(script, parent, index, through, uses, follow);
    return;
  }
  const callee = script.valueOf(parent.base);
  const parameter = callee.kind === 'function' ? callee.node.parameters[index] : undefined;
  const variable = parameter?.type === 'Identifier' ? script.scopes.variableOf(parameter) : undefined;
  if (variable) for (const read of variable.reads) follow(read);
  else uses.push({ kind: 'other', node: parent });
}

function libraryUse(
  script: Script,
  node: CallNode,
  index: number,
  through: Through,
  uses: Use[],
  follow: (next: Expression) => void,
): void {
  const method = node.base.type === 'MemberExpression' && node.base.indexer === ':';
  const name = script.libraryOf(node) ?? '?';
  const position = method && index > 0 ? index + 1 : index;
  uses.push({ kind: 'library', node, name, index: position });
  if (name === 'ipairs' || name === 'pairs') {
    const loop = script.scopes.parentOf(node);
    if (loop?.type === 'ForGenericStatement') uses.push({ kind: 'iterated', node: loop });
  }
  if (through.library?.(name, position)) follow(node);
}

/** Whether result number `result` of a call still is the value: the reply of pcall(redis.call) is the second. */
function carries(script: Script, node: Expression, result: number): boolean {
  if (result !== 1) return false;
  const call = script.commandCallOf(node);
  return call ? call.protectedBy === 'lua' : script.libraryOf(node) === 'pcall';
}

/** Reads that can see a write: behind it, or before it in a loop around both. */
function readsAfter(script: Script, variable: Variable, write: Node): Expression[] {
  const [, end] = rangeOf(write);
  const loops = new Set<Node>();
  for (let at = script.scopes.parentOf(write); at; at = script.scopes.parentOf(at)) if (isLoop(at)) loops.add(at);
  return variable.reads.filter((read) => {
    if (rangeOf(read)[0] >= end) return true;
    if (script.scopes.functionOf(read) !== script.scopes.functionOf(write)) return true;
    for (let at = script.scopes.parentOf(read); at; at = script.scopes.parentOf(at)) if (loops.has(at)) return true;
    return false;
  });
}
