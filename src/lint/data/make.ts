/**
 * COMMAND DOCS and COMMAND INFO of many servers → the two tables of this folder. Run by hand when a release is added:
 * `node src/lint/data/make.ts FOLDER`, where the folder has `command_matrix.json`, `lua_globals.json` and `SERVER.json` dumps.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Values that are not the same on all servers: bit `i` of the mask is server `i`. */
type PerServer<T> = [mask: number, value: T][];

export interface CommandTable {
  /** Ordered by product and version: `redis-7.0.15`. */
  servers: string[];
  commands: Record<
    string,
    {
      group: string;
      /** Servers that have it. */
      on: number;
      /** `since` of each product's newest release that has it. */
      since: Partial<Record<'redis' | 'valkey', string>>;
      arity: PerServer<number>;
      flags: PerServer<string>;
      deprecated?: PerServer<[since: string, replacedBy: string]>;
    }
  >;
  /** Arguments of commands whose options are not the same everywhere, per product's newest release. */
  grammars: Record<string, Partial<Record<'redis' | 'valkey', GrammarElement[]>>>;
}

/** One argument of COMMAND DOCS. */
export interface GrammarElement {
  /** The literal word; absent for positional arguments. */
  token?: string;
  /** The word is followed by one value. */
  value?: 1;
  /** Release in which the product got it. */
  since?: string;
  optional?: 1;
  multiple?: 1;
  /** `oneof` chooses between its parts, anything else takes them in order. */
  oneof?: 1;
  parts?: GrammarElement[];
}

interface MatrixEntry {
  arity: number;
  flags: string[];
  since?: string;
  group?: string;
  deprecated_since?: string;
  replaced_by?: string;
}

interface DocsArgument {
  token?: string;
  since?: string;
  type: string;
  flags?: string[];
  arguments?: DocsArgument[];
}

interface Docs {
  arguments?: DocsArgument[];
  subcommands?: Record<string, Docs>;
}

/** The newest dumps of each product, from which options and `since` are taken. */
const NEWEST = { redis: 'redis-8.6.3', valkey: 'valkey-9.1.2' };
/** Options whose release COMMAND DOCS does not tell (release notes; the dumps of the releases around agree). */
const OPTION_SINCE: Record<string, Record<string, string>> = {
  redis: {
    'xadd KEEPREF': '8.2.0',
    'xadd DELREF': '8.2.0',
    'xadd ACKED': '8.2.0',
    'xtrim KEEPREF': '8.2.0',
    'xtrim DELREF': '8.2.0',
    'xtrim ACKED': '8.2.0',
    'bitop DIFF': '8.2.0',
    'bitop DIFF1': '8.2.0',
    'bitop ANDOR': '8.2.0',
    'bitop ONE': '8.2.0',
    'hscan NOVALUES': '7.4.0',
    'xreadgroup CLAIM': '8.4.0',
    'xadd IDMP': '8.6.0',
    'xadd IDMPAUTO': '8.6.0',
  },
  valkey: {
    'geosearch BYPOLYGON': '9.0.0',
    'geosearchstore BYPOLYGON': '9.0.0',
    'hsetex NX': '9.1.0',
    'hsetex XX': '9.1.0',
    'zscan NOSCORES': '8.0.0',
    'hscan NOVALUES': '8.0.0',
  },
};
/** Options of older releases are on every server that anyone migrates from. */
const OLD = /^([0-5]\.|6\.[02]\.)/;
/** Pseudo-commands that Redis 6.2 lists. */
const NOT_COMMANDS = new Set(['host:', 'post']);

const read = (folder: string, name: string) => JSON.parse(readFileSync(join(folder, name), 'utf8'));

const plain = (text: string) => text.replaceAll('`', '');

function perServer<T>(servers: string[], of: (server: string) => T | undefined): PerServer<T> {
  const masks = new Map<string, number>();
  for (const [i, server] of servers.entries()) {
    const value = of(server);
    if (value === undefined) continue;
    const key = JSON.stringify(value);
    masks.set(key, (masks.get(key) ?? 0) | (1 << i));
  }
  return [...masks].map(([key, mask]) => [mask, JSON.parse(key)]);
}

function element(product: string, command: string, argument: DocsArgument): GrammarElement {
  const { token, type, flags = [], arguments: parts } = argument;
  const since = argument.since ?? OPTION_SINCE[product]![`${command} ${token?.toUpperCase()}`];
  return {
    ...(token === undefined ? {} : { token: token.toUpperCase() }),
    ...(token === undefined || type === 'pure-token' || parts !== undefined ? {} : { value: 1 }),
    ...(since === undefined || OLD.test(since) ? {} : { since }),
    ...(flags.includes('optional') ? { optional: 1 } : {}),
    ...(flags.includes('multiple') ? { multiple: 1 } : {}),
    ...(type === 'oneof' ? { oneof: 1 } : {}),
    ...(parts === undefined ? {} : { parts: parts.map((part) => element(product, command, part)) }),
  };
}

const sincesOf = (elements: GrammarElement[]): string[] =>
  elements.flatMap(({ token, since, parts = [] }) => [
    ...(token !== undefined && since !== undefined ? [since] : []),
    ...sincesOf(parts),
  ]);

const tokensOf = (elements: GrammarElement[]): string[] =>
  elements.flatMap(({ token, parts = [] }) => [...(token === undefined ? [] : [token]), ...tokensOf(parts)]);

function grammarsOf(folder: string, server: string): Map<string, GrammarElement[]> {
  const grammars = new Map<string, GrammarElement[]>();
  const visit = (docs: Record<string, Docs>) => {
    for (const [name, { arguments: args = [], subcommands }] of Object.entries(docs)) {
      const command = name.toLowerCase().replace('|', ' ');
      grammars.set(
        command,
        args.map((argument) => element(server.split('-')[0]!, command, argument)),
      );
      if (subcommands) visit(subcommands);
    }
  };
  visit(read(folder, `${server}.json`).docs);
  return grammars;
}

/** The table of commands. Newest releases must be dumped in full; older ones add to what is known of options. */
function makeCommands(folder: string): CommandTable {
  const { servers, commands } = read(folder, 'command_matrix.json') as {
    servers: string[];
    commands: Record<string, Record<string, MatrixEntry>>;
  };
  const table: CommandTable = { servers, commands: {}, grammars: {} };
  for (const [name, entries] of Object.entries(commands).sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (NOT_COMMANDS.has(name)) continue;
    const newest = (product: string) =>
      servers.findLast((server) => server.startsWith(product) && entries[server]?.since !== undefined);
    const since = Object.fromEntries(
      (['redis', 'valkey'] as const).flatMap((product) => {
        const server = newest(product);
        return server === undefined ? [] : [[product, entries[server]!.since!]];
      }),
    );
    const deprecated = perServer(servers, (server) => {
      const { deprecated_since, replaced_by = '' } = entries[server] ?? {};
      return deprecated_since === undefined ? undefined : ([deprecated_since, plain(replaced_by)] as [string, string]);
    });
    table.commands[name] = {
      group: Object.values(entries).find(({ group }) => group !== undefined)?.group ?? '',
      on: servers.reduce((mask, server, i) => (entries[server] ? mask | (1 << i) : mask), 0),
      since,
      arity: perServer(servers, (server) => entries[server]?.arity),
      flags: perServer(servers, (server) => entries[server]?.flags.join(' ')),
      ...(deprecated.length > 0 ? { deprecated } : {}),
    };
  }
  const dumps = servers.filter((server) => existsSync(join(folder, `${server}.json`)));
  const all = new Map(dumps.map((server) => [server, grammarsOf(folder, server)]));
  const names = new Set([...all.values()].flatMap((grammars) => [...grammars.keys()]));
  for (const name of [...names].sort()) {
    const sets = dumps.flatMap((server) => {
      const grammar = all.get(server)!.get(name);
      return grammar === undefined ? [] : [tokensOf(grammar).sort().join(' ')];
    });
    const newer = [...all.values()].some((grammars) => sincesOf(grammars.get(name) ?? []).length > 0);
    if (new Set(sets).size < 2 && !newer) continue;
    table.grammars[name] = Object.fromEntries(
      Object.entries(NEWEST).flatMap(([product, server]) => {
        const grammar = all.get(server)!.get(name);
        return grammar === undefined ? [] : [[product, grammar]];
      }),
    );
  }
  return table;
}

/** Global name (`redis.call`) → servers that have it, as a mask over `servers`. */
function makeGlobals(folder: string): { servers: string[]; globals: Record<string, number> } {
  const perServerNames = read(folder, 'lua_globals.json') as Record<string, string[]>;
  const servers = Object.keys(perServerNames);
  const globals: Record<string, number> = {};
  for (const [i, server] of servers.entries()) {
    for (const line of perServerNames[server]!) {
      const name = line.split(' ')[0]!;
      globals[name] = (globals[name] ?? 0) | (1 << i);
    }
  }
  return { servers, globals: Object.fromEntries(Object.entries(globals).sort(([a], [b]) => (a < b ? -1 : 1))) };
}

if (import.meta.main) {
  const folder = process.argv[2]!;
  for (const [name, table] of [
    ['commands', makeCommands(folder)],
    ['globals', makeGlobals(folder)],
  ] as const) {
    writeFileSync(join(import.meta.dirname, `${name}.json`), `${JSON.stringify(table)}\n`);
  }
}
