/** What a server says about itself at one moment, as far as it lets itself be asked; and what two such moments make. */
import { commandOf, statFields } from '../server-counts.ts';
import type { Control } from './connection.ts';
import { type Info, parseSections } from './identity.ts';
import type { Seen } from './redact.ts';
import type { Burst, CommandCount, Sidecar } from './sidecar.ts';

const SECTIONS =
  'server clients memory persistence stats replication cpu commandstats latencystats errorstats keyspace cluster'.split(
    ' ',
  );
/** What says where and by whom the server is run, and nothing about the workload. */
const PRIVATE =
  /^(config_file|executable|os|process_id|run_id|tcp_port|listener\d+|master_host|master_port|primary_host|primary_port|slave\d+|replica\d+|master_replid2?|rdb_.*path|aof_.*path|availability_zone)$/;
/** What bears on a rehearsal: limits, persistence, encodings, expiry and eviction, threads. None of it is a credential. */
const CONFIG =
  /^(maxmemory.*|save|appendonly|appendfsync|aof-.*|rdbcompression|databases|timeout|hz|dynamic-hz|io-threads.*|client-output-buffer-limit|client-query-buffer-limit|proto-max-bulk-len|lfu-.*|lazyfree-.*|activedefrag|active-.*|activerehashing|notify-keyspace-events|lua-time-limit|busy-reply-threshold|(hash|list|set|zset)-max-.*|list-compress-depth|stream-node-.*|hll-.*|tracking-table-max-keys|slowlog-.*|latency-.*|maxclients|jemalloc-bg-thread|cluster-enabled)$/;
/** Set-up, administration, and what some versions hide: of these not every call has a line. */
const HIDDEN =
  /^(acl|asking|auth|bgrewriteaof|bgsave|client|cluster|command|commandlog|config|debug|dbsize|failover|hello|info|lastsave|latency|lolwut|memory|module|monitor|object|pfdebug|pfselftest|ping|psync|quit|readonly|readwrite|replconf|replicaof|reset|restore-asking|role|save|select|shutdown|slaveof|slowlog|sync|time)$/;
/** Of fewer calls a few at the edges of the burst make a large share. */
const MIN_CALLS = 100;
const COMPLETE = 0.99;

/** INFO by section, everything that the server has; undefined where it refuses. */
export async function readInfo(control: Control): Promise<Info | undefined> {
  const text = (await control.ask('INFO', 'all')) ?? (await control.ask('INFO'));
  return typeof text === 'string' ? parseSections(text) : undefined;
}

/** What of INFO is worth keeping, and no secret of the place. */
export function publicInfo(info: Info): Info {
  const kept: Info = {};
  for (const section of SECTIONS) {
    if (!info[section]) continue;
    kept[section] = Object.fromEntries(Object.entries(info[section]).filter(([field]) => !PRIVATE.test(field)));
  }
  return kept;
}

export async function readConfig(control: Control): Promise<Sidecar['config']> {
  const reply = await control.ask('CONFIG', 'GET', '*');
  if (!Array.isArray(reply)) return undefined;
  const config: Record<string, string> = {};
  for (let i = 0; i + 1 < reply.length; i += 2) if (CONFIG.test(reply[i])) config[reply[i]] = String(reply[i + 1]);
  return config;
}

/** Who is connected, by library. */
export async function readConnections(control: Control): Promise<Sidecar['connections']> {
  const list = await control.ask('CLIENT', 'LIST');
  if (typeof list !== 'string') return undefined;
  const counts = new Map<string, NonNullable<Sidecar['connections']>[number]>();
  for (const line of list.split('\n')) {
    const field = (name: string) => new RegExp(`(?:^| )${name}=(\\S*)`).exec(line)?.[1] ?? '';
    if (field('id') === '' && field('addr') === '') continue;
    const flags = field('flags');
    const entry = {
      library: field('lib-name').slice(0, 64),
      version: field('lib-ver').slice(0, 32),
      protocol: field('resp') || '2',
      kind: /[SM]/.test(flags) ? 'replication' : /P/.test(flags) ? 'pubsub' : /O/.test(flags) ? 'monitor' : 'normal',
    };
    const id = JSON.stringify(entry);
    counts.set(id, { ...entry, count: (counts.get(id)?.count ?? 0) + 1 });
  }
  return [...counts.values()].sort((a, b) => b.count - a.count).slice(0, 100);
}

/** LATENCY HISTOGRAM (7.0 and later): command → upper bound in µs → calls so far. */
export async function readLatency(control: Control): Promise<Burst['latency']> {
  const reply = await control.ask('LATENCY', 'HISTOGRAM');
  if (!Array.isArray(reply)) return undefined;
  const commands: NonNullable<Burst['latency']> = {};
  for (let i = 0; i + 1 < reply.length; i += 2) {
    const fields = pairs(reply[i + 1]);
    const cumulative = pairs(fields.histogram_usec);
    commands[String(reply[i])] = Object.fromEntries(Object.entries(cumulative).map(([us, n]) => [us, Number(n)]));
  }
  return commands;
}

/** Calls between two readings, bucket by bucket; the server's buckets are cumulative and leave out empty ones. */
export function latencyBetween(before: Burst['latency'], after: Burst['latency']): Burst['latency'] {
  if (!before || !after) return undefined;
  const delta: NonNullable<Burst['latency']> = {};
  for (const [command, buckets] of Object.entries(after)) {
    const earlier = uncumulate(before[command] ?? {});
    const entries = Object.entries(uncumulate(buckets))
      .map(([us, n]): [string, number] => [us, n - (earlier[us] ?? 0)])
      .filter(([, n]) => n > 0);
    if (entries.length > 0) delta[command] = Object.fromEntries(entries);
  }
  return delta;
}

function uncumulate(buckets: Record<string, number>): Record<string, number> {
  let below = 0;
  return Object.fromEntries(
    Object.entries(buckets)
      .sort(([a], [b]) => Number(a) - Number(b))
      .map(([us, total]) => {
        const own = total - below;
        below = total;
        return [us, own];
      }),
  );
}

function pairs(reply: unknown): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  if (Array.isArray(reply)) for (let i = 0; i + 1 < reply.length; i += 2) fields[String(reply[i])] = reply[i + 1];
  return fields;
}

/** Lines that were seen, beside what the server counted between the two moments; subcommands under their command. */
export function countCommands(
  seen: ReadonlyMap<string, Seen>,
  before: Info | undefined,
  after: Info | undefined,
): Record<string, CommandCount> {
  const commands: Record<string, CommandCount> = Object.create(null);
  for (const [command, { lines, children }] of seen) commands[command] = { lines, children };
  const from = before?.commandstats;
  const to = after?.commandstats;
  if (!from || !to) return commands;
  for (const [name, text] of Object.entries(to)) {
    const command = commandOf(name);
    const now = statFields(text);
    const then = statFields(from[name] ?? '');
    const delta = (field: string) => (now[field] ?? 0) - (then[field] ?? 0);
    if (delta('calls') <= 0 && delta('rejected_calls') <= 0 && !commands[command]) continue;
    commands[command] ??= { lines: 0, children: 0 };
    const count = commands[command];
    count.calls = (count.calls ?? 0) + delta('calls');
    count.usec = (count.usec ?? 0) + delta('usec');
    count.rejected = (count.rejected ?? 0) + delta('rejected_calls');
    count.failed = (count.failed ?? 0) + delta('failed_calls');
  }
  return commands;
}

/** Σ min(lines, calls) ÷ Σ calls over the commands that MONITOR shows; undefined where nothing can be compared. */
export function completenessOf(commands: Record<string, CommandCount>): Burst['completeness'] {
  let seen = 0;
  let called = 0;
  const worst: { command: string; lines: number; calls: number }[] = [];
  for (const [command, { lines, children, calls }] of Object.entries(commands)) {
    if (calls === undefined || calls <= 0 || HIDDEN.test(command)) continue;
    const all = lines + children;
    seen += Math.min(all, calls);
    called += calls;
    if (calls >= MIN_CALLS && all < COMPLETE * calls) worst.push({ command, lines: all, calls });
  }
  if (called === 0) return undefined;
  worst.sort((a, b) => b.calls - b.lines - (a.calls - a.lines));
  return { share: seen / called, worst: worst.slice(0, 10) };
}

/** The connection's own address as MONITOR prints it; undefined where the server does not tell, and for Unix sockets. */
export async function readConnectionAddress(control: Control): Promise<string | undefined> {
  let line = await control.ask('CLIENT', 'INFO');
  if (typeof line !== 'string') {
    const id = await control.ask('CLIENT', 'ID');
    const list = await control.ask('CLIENT', 'LIST');
    if (typeof list !== 'string') return undefined;
    line = list.split('\n').find((client) => client.startsWith(`id=${id} `)) ?? '';
  }
  const address = / addr=(\S+)/.exec(line as string)?.[1];
  return address !== undefined && /^[\d.[\]a-fA-F:]+:[1-9]\d*$/.test(address) ? address : undefined;
}
