/** A call in a script → the command that the server is asked, as far as it is known. */
import { commandInfo } from '../capture/commands.ts';
import { findCommand, hasSubcommands } from './commands.ts';
import type { Guard } from './guards.ts';
import type { Loop } from './loops.ts';
import type { Server } from './profile.ts';
import type { Script } from './program.ts';
import type { CallNode, Expression } from './syntax.ts';
import { numberOf, stringOf, stringsOf, type Value } from './values.ts';

/** A key of a command: its place in `call.args` and what is known of it. */
export interface KeyArgument {
  index: number;
  value: Value;
  node: Expression | undefined;
  /** RO read, RW read and write, OW overwrite, RM remove. */
  access: 'RO' | 'RW' | 'OW' | 'RM';
}

/** A call of a command. Aliases and wrappers of redis.call are resolved: this is what the server will be asked. */
export class CommandCall {
  /** The call in the script: of redis.call itself, or of the wrapper. */
  readonly node: CallNode;
  /** By `pcall`: an error becomes a value. `lua` for Lua's own pcall(redis.call, …). */
  readonly protectedBy: 'pcall' | 'lua' | undefined;
  /** The table it was reached by. */
  readonly api: 'redis' | 'server';
  /** The name and the arguments as expressions; undefined where a wrapper adds them. */
  readonly argumentNodes: (Expression | undefined)[];
  private readonly script: Script;
  private readonly words: () => Value[];

  constructor(
    script: Script,
    node: CallNode,
    how: { api: 'redis' | 'server'; protectedBy: 'pcall' | 'lua' | undefined },
    argumentNodes: (Expression | undefined)[],
    words: () => Value[],
  ) {
    this.script = script;
    this.node = node;
    this.api = how.api;
    this.protectedBy = how.protectedBy;
    this.argumentNodes = argumentNodes;
    this.words = words;
  }

  /** Command names it can have, lower case, without subcommand. Empty where none is known. */
  get names(): string[] {
    return this.once('names', () => {
      const first = this.words()[0];
      return first === undefined ? [] : stringsOf(first).strings.map((name) => name.toLowerCase());
    });
  }

  /** Whether `names` may lack some: the name comes from an argument, a table, a reply. */
  get dynamic(): boolean {
    return this.once('dynamic', () => {
      const first = this.words()[0];
      return first === undefined || !stringsOf(first).complete;
    });
  }

  /** The name, where it is exactly one. */
  get name(): string | undefined {
    return !this.dynamic && this.names.length === 1 ? this.names[0] : undefined;
  }

  /** Full names with subcommand, where the command has such and it is known: `xinfo stream`. What tables are asked with. */
  get fullNames(): string[] {
    return this.names.map((name) => {
      const sub = hasSubcommands(name) ? stringOf(this.args[0])?.toLowerCase() : undefined;
      return sub === undefined ? name : `${name} ${sub}`;
    });
  }

  /** What stands behind the name, in order. A last `spread` may be any number of arguments. */
  get args(): Value[] {
    return this.once('args', () => this.words().slice(1));
  }

  /** The expression of `args[index]`. */
  argumentNode(index: number): Expression | undefined {
    return this.argumentNodes[index + 1];
  }

  /** Arguments as strings, undefined where not constant; ends where a spread begins. */
  get literals(): (string | undefined)[] {
    return this.once('literals', () => {
      const open = this.args.findIndex(({ kind }) => kind === 'spread');
      return (open < 0 ? this.args : this.args.slice(0, open)).map(stringOf);
    });
  }

  /** Whether it is not known how many arguments there are. */
  get open(): boolean {
    return this.args.some(({ kind }) => kind === 'spread');
  }

  /** The keys, by the key specifications of its command; the first name's where it can have several. */
  get keys(): KeyArgument[] {
    return this.once('keys', () => this.findKeys());
  }

  /** Whether every command it can be writes, as the server's table says. */
  writes(server: Server): boolean {
    return this.names.length > 0 && this.fullNames.every((name) => findCommand(server, name)?.flags.has('write'));
  }

  /** Loops around it, innermost first; through the call sites of local functions it stands in. */
  get loops(): Loop[] {
    return this.once('loops', () => this.script.loopsAround(this.node));
  }

  /** Conditions around it, innermost first. */
  get guards(): Guard[] {
    return this.script.guardsAround(this.node);
  }

  private findKeys(): KeyArgument[] {
    const [name] = this.names;
    if (name === undefined) return [];
    const { args } = this;
    const words = [undefined, ...this.literals];
    const specs = commandInfo(name, words[1])?.keySpecs ?? [];
    const keys: KeyArgument[] = [];
    for (const { begin, find, access } of specs) {
      let first: number;
      if ('index' in begin) first = begin.index;
      else {
        const at = words.findIndex((word, i) => i >= begin.from && word?.toUpperCase() === begin.keyword);
        if (at < 0) continue;
        first = at + 1;
      }
      const push = (position: number) => {
        const value = args[position - 1];
        if (value === undefined) return;
        keys.push({ index: position - 1, value, node: this.argumentNode(position - 1), access });
      };
      if (find.kind === 'keynum') {
        const count = numberOf(args[first + find.count - 1]);
        const start = first + find.first;
        if (count === undefined) push(start);
        else for (let i = 0; i < count; i++) push(start + i * find.step);
        continue;
      }
      // A spread ends what is known of positions: it is a key itself, and nothing counted from the end is.
      const length = args.length + 1;
      const last =
        find.last < 0
          ? find.limit > 1
            ? first + Math.floor((length - first) / find.limit) - 1
            : length + find.last
          : first + find.last;
      for (let i = first; i <= last && i < length; i += find.step) {
        push(i);
        if (args[i - 1]?.kind === 'spread') break;
      }
    }
    return keys;
  }

  private readonly cache = new Map<string, unknown>();

  /** Values are worked out when asked for: an argument may be a reply of another call. */
  private once<T>(key: string, work: () => T): T {
    if (!this.cache.has(key)) this.cache.set(key, work());
    return this.cache.get(key) as T;
  }
}
