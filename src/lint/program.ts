/**
 * A parsed script → a program that rules can ask: which commands it calls with what, how often, under which conditions,
 * where values come from and where they go.
 *
 * Everything is flow-insensitive over-approximation with one principle: what is not known is `unknown`, never guessed.
 */
import type { CommandCall } from './command-call.ts';
import { Evaluator } from './evaluator.ts';
import { type Through, type Use, usesOf } from './flow.ts';
import { type Guard, guardsAround, isAskedFor, isVersionGuarded } from './guards.ts';
import { type Bound, boundOfValue, cursorScanOf, type Loop, loopOf, loopsAround } from './loops.ts';
import { resolveScopes, type Scopes } from './scopes.ts';
import { readShebang, type Shebang } from './shebang.ts';
import type { ScriptUnit } from './sources/unit.ts';
import { type CallNode, type Chunk, type Expression, type LoopNode, type Node, rangeOf } from './syntax.ts';
import type { Value } from './values.ts';

export type { CommandCall, KeyArgument } from './command-call.ts';
export type { Use } from './flow.ts';
export type { Loop } from './loops.ts';
export type { CallNode, Expression, Identifier, LoopNode, Node } from './syntax.ts';

/** See `Script.tableShape`. */
export interface TableShape {
  /** String keys that are written in the script. */
  names: Set<string>;
  /** What is put into it, where that is an expression of its own. */
  items: Expression[];
  /** Keys that are no constant strings: numbers, loop variables, replies. */
  keys: Value[];
  /** It comes from JSON or MessagePack: it may have more keys than these. */
  decoded: boolean;
}

export class Script {
  readonly unit: ScriptUnit;
  readonly chunk: Chunk;
  /** One character per byte. */
  readonly text: string;
  readonly scopes: Scopes;
  readonly shebang: Shebang | undefined;
  /** `function`: the text is for FUNCTION LOAD. */
  readonly context: 'eval' | 'function';
  private readonly evaluator: Evaluator;
  private readonly loops = new Map<LoopNode, Loop>();

  constructor(unit: ScriptUnit, chunk: Chunk) {
    this.unit = unit;
    this.chunk = chunk;
    this.text = unit.text;
    this.scopes = resolveScopes(chunk);
    this.shebang = readShebang(unit.text);
    this.evaluator = new Evaluator(this);
    this.context = this.shebang?.options.has('name') || this.evaluator.callbacks.size > 0 ? 'function' : 'eval';
  }

  /** Every call of a command, in the order of the source. A wrapper's inner call is not among them if its callers are known. */
  get calls(): readonly CommandCall[] {
    return this.evaluator.calls;
  }

  /** What is known of an expression's value. */
  valueOf(node: Expression): Value {
    return this.evaluator.valueOf(node);
  }

  /** The text of a node, as it stands in the source. */
  textOf(node: Node): string {
    return this.text.slice(...rangeOf(node));
  }

  /** The command that a call expression calls, wrappers resolved; undefined for any other call. */
  commandCallOf(node: Node): CommandCall | undefined {
    return this.evaluator.commandCallOf(node);
  }

  /** The name of the global function that a call expression calls: `cjson.encode`, through aliases. */
  libraryOf(node: Node): string | undefined {
    return this.evaluator.libraryOf(node);
  }

  /** Arguments of a call of a library function; `s:find(p)` has `s` first. */
  libraryArguments(node: CallNode): Expression[] {
    return this.evaluator.libraryArguments(node);
  }

  /**
   * Where the value of an expression goes: through locals, parameters of local functions, returns of local functions,
   * parentheses, `and`/`or`, and what `through` lets pass. Each place once.
   */
  usesOf(node: Expression, through: Through = {}): Use[] {
    return usesOf(this, node, through);
  }

  /** Loops around a node, innermost first; if it stands in a local function, also those around its calls. */
  loopsAround(node: Node): Loop[] {
    return loopsAround(this, node);
  }

  loopOf(node: LoopNode): Loop {
    const known = this.loops.get(node) ?? loopOf(this, node);
    this.loops.set(node, known);
    return known;
  }

  /** Conditions under which a node is reached, innermost first, within its function. */
  guardsAround(node: Node): Guard[] {
    return guardsAround(this, node);
  }

  /** Whether the node runs only after the server's version or product was asked, by constant or by probe. */
  isVersionGuarded(node: Node): boolean {
    return isVersionGuarded(this, node);
  }

  /** Whether a `return` is the script's own: what it returns is what the client is answered. */
  isAnswer(node: Node): boolean {
    const owner = this.scopes.functionOf(node);
    return node.type === 'ReturnStatement' && (owner === undefined || this.evaluator.callbacks.has(owner));
  }

  /** How many a value is, or how many items it has. */
  boundOf(value: Value): Bound {
    return boundOfValue(this, value);
  }

  /** The SCAN, SSCAN, HSCAN or ZSCAN whose cursor drives a loop. */
  cursorScanOf(loop: Loop): CommandCall | undefined {
    return cursorScanOf(this, loop);
  }

  /** Whether the node runs only where the script has asked for a global or a member of one. */
  isAskedFor(node: Node, name: string): boolean {
    return isAskedFor(this, node, name);
  }

  /** Whether the script looks at the error of a protected call: `.err` of redis.pcall, the first result of pcall. */
  testsError(call: CommandCall): boolean {
    const uses = this.usesOf(call.node);
    if (call.protectedBy === 'lua') return uses.some(({ kind }) => kind === 'tested' || kind === 'compared');
    return call.protectedBy === 'pcall' && uses.some((use) => use.kind === 'indexed' && use.key === 'err');
  }

  /**
   * What a table is made of, as far as it is written in this script: constructor and assignments to its variable.
   * `undefined` for what is no table made here. A decoded table has the names that the script uses.
   */
  tableShape(node: Expression): TableShape | undefined {
    const value = this.valueOf(node);
    const shape: TableShape = { names: new Set(), items: [], keys: [], decoded: false };
    for (const option of value.kind === 'union' ? value.options : [value]) {
      if (option.kind === 'table') {
        for (const field of option.node.fields) {
          if (field.type === 'TableKeyString') shape.names.add(field.key.name);
          else if (field.type === 'TableKey') this.addKey(shape, this.valueOf(field.key));
          shape.items.push(field.value);
        }
      } else if (option.kind === 'library' && /^(cjson\.decode|cmsgpack\.unpack)/.test(option.name))
        shape.decoded = true;
      else return undefined;
    }
    const variable = node.type === 'Identifier' ? this.scopes.variableOf(node) : undefined;
    for (const read of variable?.reads ?? []) {
      const access = this.scopes.parentOf(read);
      if ((access?.type !== 'MemberExpression' && access?.type !== 'IndexExpression') || access.base !== read) continue;
      const statement = this.scopes.parentOf(access);
      const written = statement?.type === 'AssignmentStatement' ? statement.variables.indexOf(access) : -1;
      if (written < 0 && !shape.decoded) continue;
      if (access.type === 'MemberExpression') shape.names.add(access.identifier.name);
      else this.addKey(shape, this.valueOf(access.index));
      const item = statement?.type === 'AssignmentStatement' ? statement.init[written] : undefined;
      if (written >= 0 && item) shape.items.push(item);
    }
    return shape;
  }

  private addKey(shape: TableShape, key: Value): void {
    if (key.kind === 'literal' && typeof key.value === 'string') shape.names.add(key.value);
    else shape.keys.push(key);
  }
}
