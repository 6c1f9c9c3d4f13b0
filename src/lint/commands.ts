/** The tables of `data/` → what a given server knows: commands, their flags and options, and the globals of its scripts. */

import commandTable from './data/commands.json' with { type: 'json' };
import globalTable from './data/globals.json' with { type: 'json' };
import type { CommandTable, GrammarElement } from './data/make.ts';
import { compareVersion, type Product, type Server } from './profile.ts';

const table = commandTable as unknown as CommandTable;

/** What a server knows of a command or subcommand. */
export interface KnownCommand {
  name: string;
  group: string;
  /** As COMMAND says: negative for a minimum; counts the command's own words. */
  arity: number;
  flags: ReadonlySet<string>;
  deprecated?: { since: string; replacedBy: string };
}

interface Observed {
  product: Product;
  version: string;
  bit: number;
}

const observe = (servers: string[]): Observed[] =>
  servers.map((server, i) => {
    const [product, version] = server.split('-') as [Product, string];
    return { product, version, bit: 1 << i };
  });

const OBSERVED = observe(table.servers);
const OBSERVED_GLOBALS = observe(globalTable.servers);

const minorOf = (version: string) => version.split('.').slice(0, 2).join('.');

/** What `nearest` found: rules ask for the same two servers at every command. */
const NEAREST = new WeakMap<Server, Map<Observed[], Observed>>();

/** The dump to ask for a server: of its own minor release, else the newest that is older, else the oldest. */
function nearest(observed: Observed[], server: Server): Observed {
  const known = NEAREST.get(server) ?? new Map<Observed[], Observed>();
  NEAREST.set(server, known);
  const found = known.get(observed) ?? findNearest(observed, server);
  known.set(observed, found);
  return found;
}

function findNearest(observed: Observed[], server: Server): Observed {
  const own = observed.filter(({ product }) => product === server.product);
  return (
    own.find(({ version }) => minorOf(version) === `${server.major}.${server.minor}`) ??
    own.findLast(({ version }) => compareVersion(server, version) >= 0) ??
    own[0]!
  );
}

const valueAt = <T>(values: [mask: number, value: T][] | undefined, bit: number): T | undefined =>
  values?.find(([mask]) => (mask & bit) !== 0)?.[1];

/** Lower case, words parted by a space: `xinfo stream`. */
export function findCommand(server: Server, name: string): KnownCommand | undefined {
  const entry = Object.hasOwn(table.commands, name) ? table.commands[name] : undefined;
  if (entry === undefined) return undefined;
  const dump = nearest(OBSERVED, server);
  const since = entry.since[server.product];
  let { bit } = dump;
  if ((entry.on & bit) === 0) {
    // Redis 6.2 lists no subcommands; releases between two dumps have what the next dump says came with them.
    const later = OBSERVED.find(({ product, bit: b }) => product === server.product && b > bit && (entry.on & b) !== 0);
    if (later === undefined || since === undefined || compareVersion(server, since) < 0) return undefined;
    bit = later.bit;
  } else if (since !== undefined && compareVersion(server, since) < 0) return undefined;
  const deprecated = valueAt(entry.deprecated, bit);
  return {
    name,
    group: entry.group,
    arity: valueAt(entry.arity, bit)!,
    flags: new Set(valueAt(entry.flags, bit)!.split(' ')),
    ...(deprecated === undefined ? {} : { deprecated: { since: deprecated[0], replacedBy: deprecated[1] } }),
  };
}

/** Whether any release of any product is known to have the command; otherwise it is a typo, a module's, or renamed. */
export const isKnownAnywhere = (name: string) => Object.hasOwn(table.commands, name);

/** Whether the first argument of the command is a subcommand: `xinfo`, `config`. */
export const hasSubcommands = (name: string) => CONTAINERS.has(name);

const CONTAINERS = new Set(
  Object.keys(table.commands).flatMap((name) => (name.includes(' ') ? [name.split(' ')[0]!] : [])),
);

/** First release of the product that has the command, where one has. */
export function commandSince(product: Product, name: string): string | undefined {
  const entry = Object.hasOwn(table.commands, name) ? table.commands[name] : undefined;
  return entry?.since[product];
}

/** Whether scripts on the server see the global (`os.clock`, `redis.VALKEY_VERSION`). */
export function hasGlobal(server: Server, name: string): boolean {
  const mask = (globalTable.globals as Record<string, number>)[name] ?? 0;
  return (mask & nearest(OBSERVED_GLOBALS, server).bit) !== 0;
}

/** An option that a command line uses. */
export interface UsedOption {
  /** Upper case. */
  token: string;
  /** Its place among the arguments; 0 is the first behind the command (and subcommand). */
  index: number;
  /** First release that has it, by product; a product that is left out has it not. Absent where it was always there. */
  since: Partial<Record<Product, string>>;
}

/**
 * Which options the arguments use, as far as their words are known (`undefined`: a value that is not). Only commands
 * whose options differ between releases have a grammar; for the others the answer is empty. An option is a literal in
 * option position: `SET k IFNE` sets a value.
 */
export function findOptions(name: string, words: (string | undefined)[]): UsedOption[] {
  const grammars = Object.hasOwn(table.grammars, name) ? table.grammars[name] : undefined;
  if (grammars === undefined) return [];
  const best = (['redis', 'valkey'] as const)
    .flatMap((product) => (grammars[product] ? [match(grammars[product], words)] : []))
    .sort((a, b) => b.length - a.length)[0]!;
  return best.map(({ token, index }) => ({
    token,
    index,
    since: Object.fromEntries(
      (['redis', 'valkey'] as const).flatMap((product) => {
        const found = grammars[product] && tokenIn(grammars[product], token);
        return found ? [[product, found.since ?? '0.0']] : [];
      }),
    ),
  }));
}

function tokenIn(elements: GrammarElement[], token: string): GrammarElement | undefined {
  for (const element of elements) {
    const found = element.token === token ? element : tokenIn(element.parts ?? [], token);
    if (found) return found;
  }
  return undefined;
}

/** Reads words along the grammar, neighbouring options in any order, until it meets what it cannot know. */
function match(elements: GrammarElement[], words: (string | undefined)[]): { token: string; index: number }[] {
  const found: { token: string; index: number }[] = [];
  let at = 0;
  let lost = false;
  const isToken = (element: GrammarElement) => words[at]?.toUpperCase() === element.token;

  /** Whether the element begins at the current word; takes it if so. */
  const take = (element: GrammarElement): boolean => {
    if (lost || at >= words.length) return false;
    if (element.token !== undefined) {
      if (!isToken(element)) return false;
      found.push({ token: element.token, index: at++ });
      if (element.value) at++;
      if (element.parts) sequence(element.parts);
      return true;
    }
    if (element.oneof) return element.parts!.some(take);
    if (element.parts) {
      // A block is there if its first word is; one that begins with a positional argument is.
      const [first] = element.parts;
      if (!begins(first!)) return false;
      sequence(element.parts);
    } else at++;
    if (element.multiple) lost = true;
    return true;
  };
  const begins = (element: GrammarElement): boolean => {
    if (element.token !== undefined) return isToken(element);
    if (element.oneof) return element.parts!.some(begins);
    return element.parts ? begins(element.parts[0]!) : at < words.length;
  };
  const sequence = (list: GrammarElement[]): void => {
    for (let i = 0; i < list.length && !lost; ) {
      let end = i;
      while (list[end]?.optional) end++;
      const options = list.slice(i, end);
      while (options.some(take)) if (lost) return;
      if (end < list.length) take(list[end]!);
      i = end + 1;
    }
  };
  sequence(elements);
  return found;
}
