/** Loops of a script → how often they turn, and what leaves them. */
import type { CommandCall } from './command-call.ts';
import type { Script } from './program.ts';
import { callSitesOf, isMulti, type Variable } from './scopes.ts';
import { argumentsOf, type Expression, type FunctionNode, isCall, isLoop, type LoopNode, type Node } from './syntax.ts';
import { numberOf, partsOf, type Value } from './values.ts';

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
  /** By how much its counter goes on per turn; 1 for loops without, undefined where it is not known. */
  step: number | undefined;
  /** The `break` and `return` statements that leave it. */
  exits: Node[];
}

/** Loops around a node, innermost first; if it stands in a local function, also those around its calls. */
export function loopsAround(script: Script, node: Node, seen = new Set<FunctionNode>()): Loop[] {
  const loops: Loop[] = [];
  for (let child = node, at = script.scopes.parentOf(node); at; child = at, at = script.scopes.parentOf(at)) {
    if (isLoop(at) && turns(at, child)) loops.push(script.loopOf(at));
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
  return { node, bound: boundOf(script, node), step: stepOf(script, node), exits: loopExits(script, node) };
}

function loopExits(script: Script, node: LoopNode): Node[] {
  return script.scopes.inside(node).filter((exit) => {
    if (exit.type !== 'BreakStatement' && exit.type !== 'ReturnStatement') return false;
    for (let at = script.scopes.parentOf(exit); at; at = script.scopes.parentOf(at)) {
      if (at === node) return true;
      if (at.type === 'FunctionDeclaration' || (exit.type === 'BreakStatement' && isLoop(at))) return false;
    }
    return false;
  });
}

function stepOf(script: Script, node: LoopNode): number | undefined {
  if (node.type === 'ForNumericStatement') {
    const step = node.step ? numberOf(script.valueOf(node.step)) : 1;
    return step === undefined ? undefined : Math.abs(step);
  }
  if (node.type === 'ForGenericStatement') return 1;
  const counter = counters(script, node)[0];
  if (counter === undefined) return 1;
  const steps = counter.writes.map(({ left, right }) => numberOf(script.valueOf(counter.reads(left) ? right : left)));
  return steps.every((step) => step === steps[0]) ? steps[0] : undefined;
}

/** Whether a child of a loop runs once per turn: iterators and limits run once. */
function turns(loop: LoopNode, child: Node): boolean {
  if (loop.type === 'WhileStatement' || loop.type === 'RepeatStatement') return true;
  return (loop.body as Node[]).includes(child);
}

function boundOf(script: Script, node: LoopNode, seen: ReadonlySet<Node> = new Set()): Bound {
  switch (node.type) {
    case 'ForNumericStatement': {
      const [start, end, step] = [node.start, node.end, node.step].map((part) => part && script.valueOf(part));
      const [from, to, by] = [numberOf(start!), numberOf(end!), step ? numberOf(step) : 1];
      if (from !== undefined && to !== undefined && by !== undefined && by !== 0) {
        return { kind: 'constant', count: Math.max(0, Math.floor((to - from) / by) + 1) };
      }
      // Downwards from a size: `for i = #t, 1, -1`.
      return boundOfValue(script, to === undefined ? end! : start!, seen);
    }
    case 'ForGenericStatement': {
      const [iterator] = node.iterators;
      if (iterator === undefined || !isCall(iterator)) return { kind: 'unknown' };
      const [subject] = argumentsOf(iterator);
      const name = script.libraryOf(iterator);
      if (subject === undefined || (name !== 'pairs' && name !== 'ipairs')) return { kind: 'unknown' };
      return boundOfValue(script, script.valueOf(subject), seen);
    }
    case 'WhileStatement':
    case 'RepeatStatement': {
      const value = script.valueOf(node.condition);
      if (value.kind === 'literal') {
        const turns = value.value !== false && value.value !== null;
        if (turns !== (node.type === 'WhileStatement')) return { kind: 'constant', count: 1 };
      }
      return counterBound(script, node, seen) ?? { kind: 'open' };
    }
  }
}

type ConditionalLoop = Extract<LoopNode, { condition: Expression }>;

/** A variable that ends a loop, and that the loop changes by adding to it, or by taking from it, alone. */
interface Counter {
  operator: '+' | '-';
  /** The sums or differences that it is set to in the loop. */
  writes: Extract<Expression, { type: 'BinaryExpression' }>[];
  reads(side: Expression): boolean;
  /** What it is compared with. */
  limit: Expression;
  variable: Variable;
}

/** The bound of a `while` or `repeat` that a counter ends: `while i <= #ARGV`, `if turns > 100 then break end`. */
function counterBound(script: Script, loop: ConditionalLoop, seen: ReadonlySet<Node>): Bound | undefined {
  const [counter] = counters(script, loop);
  if (counter?.operator === '+') return boundOfValue(script, script.valueOf(counter.limit), seen);
  if (counter) {
    // Counted down: from what it was before the loop.
    const bounds = counter.variable.writes
      .filter(({ by }) => !script.scopes.isInside(by, loop))
      .map(({ value }): Bound => (value ? boundOfValue(script, script.valueOf(value), seen) : { kind: 'unknown' }));
    return largest(bounds) ?? { kind: 'unknown' };
  }
  // A number that changes in a way that is not followed: it may well be a counter.
  return comparisons(loop.condition).length > 0 ? { kind: 'unknown' } : undefined;
}

/** The counters each of which alone ends the loop. */
function counters(script: Script, loop: ConditionalLoop): Counter[] {
  const ways = alternatives(loop.condition, loop.type === 'WhileStatement' ? 'and' : 'or');
  for (const exit of loopExits(script, loop)) {
    const inner = script
      .guardsAround(exit)
      .filter(({ condition }) => condition !== loop.condition && script.scopes.isInside(condition, loop));
    const [only] = inner;
    if (only && inner.length === 1) ways.push(...alternatives(only.condition, only.holds ? 'or' : 'and'));
  }
  return ways
    .flatMap(comparisons)
    .flatMap(({ left, right }) =>
      [counterOf(script, left, right, loop), counterOf(script, right, left, loop)].filter(
        (counter) => counter !== undefined,
      ),
    );
}

function counterOf(script: Script, node: Expression, limit: Expression, loop: LoopNode): Counter | undefined {
  const variable = node.type === 'Identifier' ? script.scopes.variableOf(node) : undefined;
  if (variable === undefined) return undefined;
  const reads = (side: Expression) => side.type === 'Identifier' && script.scopes.variableOf(side) === variable;
  const writes: Counter['writes'] = [];
  for (const { by, value } of variable.writes) {
    if (!script.scopes.isInside(by, loop)) continue;
    if (value?.type !== 'BinaryExpression' || !(reads(value.left) || reads(value.right))) return undefined;
    writes.push(value);
  }
  const operator = writes[0]?.operator;
  if ((operator !== '+' && operator !== '-') || writes.some((write) => write.operator !== operator)) return undefined;
  return { operator, writes, reads, limit, variable };
}

const comparisons = (node: Expression) =>
  node.type === 'BinaryExpression' && /^[<>]=?$/.test(node.operator) ? [node] : [];

/** The parts of `a and b` (or `a or b`): each alone decides. */
function alternatives(node: Expression, operator: 'and' | 'or'): Expression[] {
  return node.type === 'LogicalExpression' && node.operator === operator
    ? [...alternatives(node.left, operator), ...alternatives(node.right, operator)]
    : [node];
}

/** The call of SCAN, SSCAN, HSCAN or ZSCAN whose cursor drives a loop: it goes on with what the call before answered. */
export function cursorScanOf(script: Script, loop: Loop): CommandCall | undefined {
  if (loop.bound.kind !== 'open' && loop.bound.kind !== 'unknown') return undefined;
  for (const node of script.scopes.inside(loop.node)) {
    const call = script.commandCallOf(node);
    const name = call?.names.find((candidate) => SCANS.has(candidate));
    if (call === undefined || name === undefined) continue;
    const cursor = call.args[name === 'scan' ? 0 : 1];
    const follows = cursor && [...partsOf(cursor)].some((part) => part.kind === 'reply' && part.call === call);
    if (follows) return call;
  }
  return undefined;
}

const SCANS = new Set(['scan', 'sscan', 'hscan', 'zscan']);

/** How many a value is, or how many items it has. */
export function boundOfValue(script: Script, value: Value, seen: ReadonlySet<Node> = new Set()): Bound {
  switch (value.kind) {
    case 'literal': {
      const count = numberOf(value);
      return count === undefined ? { kind: 'unknown' } : { kind: 'constant', count };
    }
    case 'keys':
    case 'argv':
      return { kind: value.kind };
    case 'global':
      return value.name === 'KEYS' ? { kind: 'keys' } : value.name === 'ARGV' ? { kind: 'argv' } : { kind: 'unknown' };
    case 'reply':
      return boundOfReply(script, value.call, seen);
    case 'table':
      return boundOfTable(script, value.node, seen);
    case 'length':
    case 'element':
      return boundOfValue(script, value.of, seen);
    case 'library':
      if (value.name === 'math.min') return smallest(value.args.map((arg) => boundOfValue(script, arg, seen)));
      return value.args[0] === undefined ? { kind: 'unknown' } : boundOfValue(script, value.args[0], seen);
    case 'arithmetic':
    case 'union':
      return largest(leavesOf(value).map((leaf) => boundOfValue(script, leaf, seen))) ?? { kind: 'unknown' };
    default:
      return { kind: 'unknown' };
  }
}

/** A table that is filled in loops has as many items as those turn. */
function boundOfTable(
  script: Script,
  table: Extract<Node, { type: 'TableConstructorExpression' }>,
  seen: ReadonlySet<Node>,
): Bound {
  const parent = script.scopes.parentOf(table);
  const own: Bound = { kind: 'constant', count: table.fields.length };
  const last = table.fields.at(-1);
  if (last?.type === 'TableValue' && isMulti(last.value)) return boundOfValue(script, script.valueOf(last.value), seen);
  if (seen.has(table) || parent?.type !== 'LocalStatement') return own;
  const name = parent.variables[parent.init.indexOf(table)];
  const variable = name && script.scopes.variableOf(name);
  const bounds = (variable?.reads ?? []).flatMap((read) => {
    const use = script.scopes.parentOf(read);
    const holder = use && script.scopes.parentOf(use);
    const assigned =
      use?.type === 'IndexExpression' &&
      use.base === read &&
      holder?.type === 'AssignmentStatement' &&
      holder.variables.includes(use);
    const inserted = use !== undefined && isCall(use) && script.libraryOf(use) === 'table.insert';
    if (!assigned && !inserted) return [];
    const loops: Bound[] = [];
    for (let at = script.scopes.parentOf(read); at && at !== script.scopes.parentOf(parent); ) {
      if (isLoop(at)) loops.push(boundOf(script, at, new Set([...seen, table])));
      at = script.scopes.parentOf(at);
    }
    return loops;
  });
  return largest(bounds) ?? own;
}

/** The bound that says most of how large something can be. */
const largest = (bounds: Bound[]): Bound | undefined =>
  (['reply', 'open', 'argv', 'keys'] as const)
    .map((kind) => bounds.find((bound) => bound.kind === kind))
    .find((bound) => bound !== undefined) ?? (bounds.length === 1 ? bounds[0] : undefined);

const smallest = (bounds: Bound[]): Bound =>
  bounds.find(({ kind }) => kind === 'constant') ??
  bounds.find(({ kind }) => kind === 'keys') ??
  bounds.find(({ kind }) => kind === 'argv') ??
  bounds[0] ?? { kind: 'unknown' };

/** How many elements a command answers: by a limit among its arguments, else by the data. */
function boundOfReply(script: Script, call: CommandCall, outer: ReadonlySet<Node>): Bound {
  const data: Bound = { kind: 'reply', call };
  const { names, args, literals } = call;
  const every = (set: ReadonlySet<string>) => names.length > 0 && names.every((name) => set.has(name));
  // A limit that is worked out from this very reply is none.
  if (names.length === 0 || outer.has(call.node)) return data;
  const seen = new Set([...outer, call.node]);
  const valueBehind = (...tokens: string[]) => {
    const at = literals.findIndex((word) => word !== undefined && tokens.includes(word.toUpperCase()));
    return at < 0 ? undefined : args[at + (tokens[0] === 'LIMIT' ? 2 : 1)];
  };
  const boundBy = (limit: Value | undefined) => (limit === undefined ? data : boundOfValue(script, limit, seen));
  if (call.name === 'time') return { kind: 'constant', count: 2 };
  if (every(SCANS)) return boundBy(valueBehind('COUNT') ?? { kind: 'literal', value: SCAN_PAGE });
  if (every(SIZED_BY_ARGUMENTS)) {
    const spread = args.find(({ kind }) => kind === 'spread');
    return spread?.kind === 'spread' ? boundOfValue(script, spread.of, seen) : { kind: 'constant', count: args.length };
  }
  if (every(POPS)) return boundBy(args[1]);
  const byRank = every(WINDOWS) && !literals.some((word) => /^by(score|lex)$/i.test(word ?? ''));
  if (byRank && args[1] && args[2]) {
    const [start, stop] = [numberOf(args[1]), numberOf(args[2])];
    if (start !== undefined && stop !== undefined) {
      return start < 0 === stop < 0 ? { kind: 'constant', count: Math.max(0, stop - start + 1) } : data;
    }
    // A window that the client moves is as large as the client says, even if its place comes from the data.
    const bounds = [args[1], args[2]].flatMap((end) => leavesOf(end)).map((leaf) => boundOfValue(script, leaf, seen));
    const kinds = new Set(bounds.map(({ kind }) => kind));
    if (stop === -1 || !(kinds.has('argv') || kinds.has('keys'))) return data;
    return kinds.has('reply') || kinds.has('unknown') ? { kind: 'unknown' } : largest(bounds)!;
  }
  return boundBy(valueBehind('LIMIT') ?? valueBehind('COUNT'));
}

/** The values that decide how large a sum, a difference or one of several is. */
function leavesOf(value: Value): Value[] {
  if (value.kind === 'union') return value.options.flatMap(leavesOf);
  if (value.kind !== 'arithmetic') return [value];
  return (/[-/%]/.test(value.operator) ? value.operands.slice(0, 1) : value.operands).flatMap(leavesOf);
}

/** COUNT of a SCAN that names none. */
const SCAN_PAGE = 10;
const SIZED_BY_ARGUMENTS = new Set(['mget', 'hmget', 'smismember', 'zmscore', 'geopos', 'geohash']);
const WINDOWS = new Set(['lrange', 'zrange', 'zrevrange']);
/** The second argument says how many. */
const POPS = new Set(['spop', 'srandmember', 'lpop', 'rpop', 'zpopmin', 'zpopmax', 'hrandfield', 'zrandmember']);
