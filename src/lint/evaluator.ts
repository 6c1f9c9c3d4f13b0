/** Expressions of a script → their values, and calls → the commands behind aliases and wrappers. */
import { CommandCall } from './command-call.ts';
import type { Script } from './program.ts';
import { callSitesOf, isMulti, type Scopes, type Variable } from './scopes.ts';
import {
  argumentsOf,
  type CallNode,
  type Expression,
  type FunctionNode,
  isCall,
  isExpression,
  isLoop,
  type LoopNode,
  type Node,
  rangeOf,
} from './syntax.ts';
import { numberOf, partsBelow, stringOf, UNKNOWN, unionOf, type Value } from './values.ts';

/** How deep values are followed; real scripts need some ten. */
const MAX_DEPTH = 60;
/** Parts of a value, counted as often as they occur. */
const MAX_PARTS = 400;
/** More returns than this: what a function yields is not worked out. */
const MAX_RETURNS = 6;

export class Evaluator {
  /** Every call of a command, in the order of the source. A wrapper's inner call is not among them if its callers are known. */
  readonly calls: CommandCall[];
  /** Functions given to register_function: their parameters are KEYS and ARGV. */
  readonly callbacks = new Set<FunctionNode>();

  private readonly script: Script;
  private readonly scopes: Scopes;
  /** Offsets of template holes. */
  private readonly holes: [start: number, end: number][];
  private readonly values = new Map<Node, Value>();
  private readonly pending = new Set<Node>();
  private readonly commandCalls = new Map<CallNode, CommandCall | undefined>();
  /** Functions that hand their varargs to a command. */
  private readonly wrappers = new Map<FunctionNode, CallNode>();
  private returns: Map<FunctionNode | undefined, Extract<Node, { type: 'ReturnStatement' }>[]> | undefined;
  private depth = 0;
  private readonly sizes = new WeakMap<Value, number>();

  constructor(script: Script) {
    this.script = script;
    this.scopes = script.scopes;
    this.holes = script.unit.holes;
    this.findCallbacks();
    this.calls = this.findCalls();
    // Where values depend on each other in a circle, the answer depends on which is asked first: always the first in the source.
    for (const node of this.scopes.nodes) if (isExpression(node)) this.valueOf(node);
  }

  /** What is known of an expression's value. */
  valueOf(node: Expression): Value {
    const known = this.values.get(node);
    if (known) return known;
    // A value that depends on itself (`s = s .. x`), or too deep to be worth it.
    if (this.pending.has(node) || this.depth > MAX_DEPTH) return UNKNOWN;
    this.pending.add(node);
    this.depth++;
    try {
      const value = this.bounded(this.evaluate(node));
      this.values.set(node, value);
      return value;
    } finally {
      this.depth--;
      this.pending.delete(node);
    }
  }

  /** The command that a call expression calls, wrappers resolved; undefined for any other call. */
  commandCallOf(node: Node): CommandCall | undefined {
    if (!isCall(node)) return undefined;
    if (!this.commandCalls.has(node)) {
      this.commandCalls.set(node, undefined);
      this.commandCalls.set(node, this.resolveCommand(node));
    }
    return this.commandCalls.get(node);
  }

  /** The name of the global function that a call expression calls: `cjson.encode`, through aliases. */
  libraryOf(node: Node): string | undefined {
    if (!isCall(node)) return undefined;
    const { base } = node;
    if (base.type === 'MemberExpression' && base.indexer === ':') {
      // s:find(…) is string.find(s, …) for whatever is no table with functions of its own.
      return STRING_METHODS.has(base.identifier.name) ? `string.${base.identifier.name}` : undefined;
    }
    const callee = this.valueOf(base);
    return callee.kind === 'global' ? callee.name : undefined;
  }

  /** Arguments of a call of a library function; `s:find(p)` has `s` first. */
  libraryArguments(node: CallNode): Expression[] {
    const { base } = node;
    const args = argumentsOf(node);
    return base.type === 'MemberExpression' && base.indexer === ':' ? [base.base, ...args] : args;
  }

  /** Values share their parts; a hostile script could make one that is exponentially large to walk through. */
  private bounded(value: Value): Value {
    const size = partsBelow(value).reduce((sum, part) => sum + (this.sizes.get(part) ?? 1), 1);
    if (size > MAX_PARTS) return UNKNOWN;
    this.sizes.set(value, size);
    return value;
  }

  private isHole(node: Node): boolean {
    if (this.holes.length === 0) return false;
    const [start, end] = rangeOf(node);
    return this.holes.some(([from, to]) => from < end && to > start);
  }

  private evaluate(node: Expression): Value {
    switch (node.type) {
      case 'StringLiteral':
        return this.isHole(node) ? { kind: 'hole' } : { kind: 'literal', value: node.value };
      case 'NumericLiteral':
      case 'BooleanLiteral':
        return { kind: 'literal', value: node.value };
      case 'NilLiteral':
        return { kind: 'literal', value: null };
      case 'VarargLiteral':
        return { kind: 'spread', of: UNKNOWN };
      case 'FunctionDeclaration':
        return { kind: 'function', node };
      case 'TableConstructorExpression':
        return { kind: 'table', node };
      case 'Identifier': {
        if (this.isHole(node)) return { kind: 'hole' };
        const variable = this.scopes.variableOf(node);
        return variable ? this.valueOfVariable(variable) : globalNamed(node.name);
      }
      case 'MemberExpression':
        return node.indexer === ':'
          ? UNKNOWN
          : this.elementOf(node.base, { kind: 'literal', value: node.identifier.name });
      case 'IndexExpression':
        return this.elementOf(node.base, this.valueOf(node.index));
      case 'UnaryExpression': {
        const operand = this.valueOf(node.argument);
        if (node.operator === '#') return { kind: 'length', of: operand };
        if (node.operator === 'not') return { kind: 'boolean', node };
        const number = operand.kind === 'literal' ? numberOf(operand) : undefined;
        return number === undefined
          ? { kind: 'arithmetic', operator: '-', operands: [operand] }
          : { kind: 'literal', value: -number };
      }
      case 'BinaryExpression':
        return this.evaluateBinary(node);
      case 'LogicalExpression': {
        const right = this.valueOf(node.right);
        const left = this.valueOf(node.left);
        // `a and b` yields `a` only where it is false or nil.
        return node.operator === 'and' ? right : unionOf([left, right]);
      }
      default:
        return this.evaluateCall(node, 0);
    }
  }

  private evaluateBinary(node: Extract<Expression, { type: 'BinaryExpression' }>): Value {
    const { operator } = node;
    if (operator === '..') {
      const parts = [this.valueOf(node.left), this.valueOf(node.right)].flatMap((part) =>
        part.kind === 'concat' ? part.parts : [part],
      );
      return { kind: 'concat', parts };
    }
    if (['==', '~=', '<', '<=', '>', '>='].includes(operator)) return { kind: 'boolean', node };
    return { kind: 'arithmetic', operator, operands: [this.valueOf(node.left), this.valueOf(node.right)] };
  }

  private elementOf(base: Expression, key: Value): Value {
    const of = this.valueOf(base);
    const name = stringOf(key);
    if (of.kind === 'global') {
      if (of.name === 'KEYS' || of.name === 'ARGV') {
        const index = numberOf(key);
        return { kind: of.name === 'KEYS' ? 'keys' : 'argv', ...(index === undefined ? {} : { index }) };
      }
      if (name === undefined) return UNKNOWN;
      return globalNamed(of.name === '_G' ? name : `${of.name}.${name}`);
    }
    if (of.kind === 'table') return this.fieldOf(of.node, base, key);
    return { kind: 'element', of, key };
  }

  /** A field of a table that a constructor makes, if nothing else can have written it. */
  private fieldOf(table: Extract<Node, { type: 'TableConstructorExpression' }>, base: Expression, key: Value): Value {
    const unsure: Value = { kind: 'element', of: { kind: 'table', node: table }, key };
    const variable = base.type === 'Identifier' ? this.scopes.variableOf(base) : undefined;
    const name = key.kind === 'literal' ? key.value : undefined;
    if (variable === undefined || (typeof name !== 'string' && typeof name !== 'number')) return unsure;
    const options: Value[] = [];
    let position = 0;
    for (const field of table.fields) {
      if (field.type === 'TableValue') {
        position++;
        if (name === position) options.push(this.valueOf(field.value));
      } else if (field.type === 'TableKeyString') {
        if (field.key.name === name) options.push(this.valueOf(field.value));
      } else if (stringOf(this.valueOf(field.key)) === String(name)) options.push(this.valueOf(field.value));
    }
    for (const read of variable.reads) {
      const parent = this.scopes.parentOf(read);
      // Only reading its fields leaves the table as it is.
      if (parent?.type !== 'MemberExpression' && parent?.type !== 'IndexExpression') return unsure;
      if (parent.base !== read) return unsure;
      const statement = this.scopes.parentOf(parent);
      if (statement?.type === 'AssignmentStatement' && statement.variables.includes(parent)) return unsure;
    }
    return options.length > 0 ? unionOf(options) : { kind: 'literal', value: null };
  }

  private valueOfVariable(variable: Variable): Value {
    if (variable.kind === 'parameter') {
      const value = this.valueOfParameter(variable);
      if (variable.writes.length === 0) return value;
      return unionOf([value, ...variable.writes.map((write) => this.valueOfWrite(write, variable))]);
    }
    const writes = variable.writes.filter(
      ({ value, by }, i) => i > 0 || value !== undefined || isLoop(by) || variable.writes.length === 1,
    );
    return unionOf(writes.map((write) => this.valueOfWrite(write, variable)));
  }

  private valueOfWrite({ by, value, result }: Variable['writes'][number], variable: Variable): Value {
    if (isLoop(by)) return this.itemOf(by, variable);
    if (value === undefined) return { kind: 'literal', value: null };
    if (result !== undefined && isCall(value))
      return result === 0 ? this.valueOf(value) : this.evaluateCall(value, result);
    return result === undefined ? this.valueOf(value) : UNKNOWN;
  }

  private itemOf(loop: LoopNode, variable: Variable): Value {
    if (loop.type !== 'ForGenericStatement') return { kind: 'item', loop, position: 0 };
    const position = loop.variables.indexOf(variable.node);
    const [iterator] = loop.iterators;
    if (iterator === undefined || !isCall(iterator)) return { kind: 'item', loop, position: 1, of: UNKNOWN };
    const name = this.libraryOf(iterator);
    const [subject] = argumentsOf(iterator);
    const of = subject === undefined ? UNKNOWN : this.valueOf(subject);
    // Keys of `pairs` are data too; those of `ipairs` are counters.
    if (name === 'ipairs' && position === 0) return { kind: 'item', loop, position: 0 };
    if (name === 'pairs' || name === 'ipairs')
      return { kind: 'item', loop, position: name === 'pairs' && position === 0 ? 1 : position, of };
    return { kind: 'item', loop, position: 1, of: UNKNOWN };
  }

  private valueOfParameter(variable: Variable): Value {
    const fn = variable.owner!;
    const position = fn.parameters.indexOf(variable.node);
    if (this.callbacks.has(fn)) return globalNamed(position === 0 ? 'KEYS' : position === 1 ? 'ARGV' : '?');
    const sites = callSitesOf(this.scopes, fn);
    if (sites === undefined || sites.length === 0) return { kind: 'unknown', parameter: variable };
    return unionOf(
      sites.map((site) => {
        const args = argumentsOf(site);
        const arg = args[position];
        const last = args.at(-1);
        if (arg !== undefined) return arg.type === 'VarargLiteral' ? UNKNOWN : this.valueOf(arg);
        return last !== undefined && isMulti(last) && args.length <= position
          ? UNKNOWN
          : { kind: 'literal', value: null };
      }),
    );
  }

  private evaluateCall(node: CallNode, result: number): Value {
    const call = this.commandCallOf(node);
    if (call) {
      // pcall(redis.call, …) yields success first, then the reply or the error.
      if (call.protectedBy === 'lua') return result === 1 ? { kind: 'reply', call } : { kind: 'boolean', node };
      return result === 0 ? { kind: 'reply', call } : { kind: 'literal', value: null };
    }
    const name = this.libraryOf(node);
    if (name !== undefined) {
      const args = this.libraryArguments(node).map((arg) => this.valueOf(arg));
      if (name === 'unpack' || name === 'table.unpack') return { kind: 'spread', of: args[0] ?? UNKNOWN };
      if (name === 'rawget' && args[0]?.kind === 'global' && args[0].name === '_G') {
        const global = stringOf(args[1]);
        if (global !== undefined) return globalNamed(global);
      }
      return { kind: 'library', name, args, node, result };
    }
    if (node.base.type === 'MemberExpression' && node.base.indexer === ':') return UNKNOWN;
    const callee = this.valueOf(node.base);
    if (callee.kind !== 'function') return UNKNOWN;
    const returns = this.returnsOf(callee.node);
    if (returns.length === 0 || returns.length > MAX_RETURNS) return UNKNOWN;
    return unionOf(
      returns.map((list) => {
        const expression = list[result];
        if (expression !== undefined) return this.valueOf(expression);
        return list.some(isMulti) ? UNKNOWN : { kind: 'literal', value: null };
      }),
    );
  }

  private returnsOf(fn: FunctionNode): Expression[][] {
    this.returns ??= Map.groupBy(
      this.scopes.nodes.filter((node) => node.type === 'ReturnStatement'),
      (node) => this.scopes.functionOf(node),
    );
    return (this.returns.get(fn) ?? []).map((node) => node.arguments);
  }

  private resolveCommand(node: CallNode): CommandCall | undefined {
    if (node.base.type === 'MemberExpression' && node.base.indexer === ':') return undefined;
    const args = argumentsOf(node);
    const callee = this.valueOf(node.base);
    if (callee.kind === 'function') {
      const inner = this.wrappers.get(callee.node);
      return inner && this.throughWrapper(node, callee.node, inner);
    }
    if (callee.kind !== 'global') return undefined;
    const direct = apiOf(callee.name);
    if (direct) return new CommandCall(this.script, node, direct, args, () => args.map((arg) => this.valueOf(arg)));
    if (callee.name === 'pcall' && args[0] !== undefined) {
      const target = this.valueOf(args[0]);
      const api = target.kind === 'global' ? apiOf(target.name) : undefined;
      if (!api) return undefined;
      const rest = args.slice(1);
      const how = { api: api.api, protectedBy: 'lua' as const };
      return new CommandCall(this.script, node, how, rest, () => rest.map((arg) => this.valueOf(arg)));
    }
    return undefined;
  }

  /** A call of a function that hands its `...` to a command: what the command is asked, from this call's arguments. */
  private throughWrapper(site: CallNode, wrapper: FunctionNode, inner: CallNode): CommandCall | undefined {
    const target = this.commandCallOf(inner);
    if (target === undefined) return undefined;
    const given = argumentsOf(site);
    const named = wrapper.parameters.filter((parameter) => parameter.type === 'Identifier');
    const forwarded = given.slice(named.length);
    const nodes = target.argumentNodes.flatMap((node): (Expression | undefined)[] => {
      if (node?.type === 'VarargLiteral') return forwarded;
      const variable = node?.type === 'Identifier' ? this.scopes.variableOf(node) : undefined;
      const position = variable?.kind === 'parameter' ? named.indexOf(variable.node) : -1;
      return [position >= 0 && variable!.writes.length === 0 ? given[position] : node];
    });
    return new CommandCall(this.script, site, target, nodes, () =>
      nodes.map((node) => (node === undefined ? UNKNOWN : this.valueOf(node))),
    );
  }

  private findCalls(): CommandCall[] {
    const { calls } = this.scopes;
    // Wrappers of wrappers need another turn.
    for (let before = -1; before !== this.wrappers.size; ) {
      before = this.wrappers.size;
      this.commandCalls.clear();
      this.values.clear();
      for (const node of calls) {
        const owner = this.scopes.functionOf(node);
        if (owner === undefined || this.wrappers.has(owner) || callSitesOf(this.scopes, owner) === undefined) continue;
        const passesVarargs = argumentsOf(node).at(-1)?.type === 'VarargLiteral';
        if (passesVarargs && this.commandCallOf(node)) this.wrappers.set(owner, node);
      }
    }
    this.commandCalls.clear();
    this.values.clear();
    const inner = new Set(
      [...this.wrappers].flatMap(([fn, node]) => (callSitesOf(this.scopes, fn)!.length > 0 ? [node] : [])),
    );
    return calls
      .flatMap((node) => {
        const call = inner.has(node) ? undefined : this.commandCallOf(node);
        return call ? [call] : [];
      })
      .sort((a, b) => rangeOf(a.node)[0] - rangeOf(b.node)[0]);
  }

  /** Functions given to register_function: their parameters are KEYS and ARGV. */
  private findCallbacks(): void {
    for (const node of this.scopes.calls) {
      const name = this.libraryOf(node);
      if (name !== 'redis.register_function' && name !== 'server.register_function') continue;
      for (const argument of argumentsOf(node)) {
        const fields = argument.type === 'TableConstructorExpression' ? argument.fields : [];
        const candidates = [argument, ...fields.map(({ value }) => value)];
        for (const candidate of candidates) {
          const value = this.valueOf(candidate);
          if (value.kind === 'function') this.callbacks.add(value.node);
        }
      }
    }
    this.values.clear();
    this.commandCalls.clear();
  }
}

const STRING_METHODS = new Set([
  'find',
  'match',
  'gmatch',
  'gsub',
  'sub',
  'format',
  'rep',
  'lower',
  'upper',
  'len',
  'byte',
  'reverse',
]);

const globalNamed = (name: string): Value => ({ kind: 'global', name });

function apiOf(name: string): { api: 'redis' | 'server'; protectedBy: 'pcall' | undefined } | undefined {
  const [, api, how] = /^(redis|server)\.(p?call)$/.exec(name) ?? [];
  if (api === undefined) return undefined;
  return { api: api as 'redis' | 'server', protectedBy: how === 'pcall' ? 'pcall' : undefined };
}
