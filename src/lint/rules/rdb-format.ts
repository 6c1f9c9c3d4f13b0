/** D34: payloads, files and replication streams that the other server cannot read. */
import { has, nameServer, type Profile, type Server } from '../profile.ts';
import type { CommandCall } from '../program.ts';
import { defineRule } from '../rule.ts';
import { partsOf, stringOf, type Value } from '../values.ts';

/** Version of the RDB format that a server writes; files of Valkey 9 begin with VALKEY080 and are read by it alone. */
function versionWritten(server: Server): number {
  if (server.product === 'valkey') return has(server, { valkey: '9.0' }) ? 80 : 11;
  return (
    ([
      ['8.6', 13],
      ['7.4', 12],
      ['7.2', 11],
      ['7.0', 10],
    ].find(([release]) => has(server, { redis: release as string }))?.[1] as number | undefined) ?? 9
  );
}

/** Versions from 12 to 79 are Redis' own, from 80 on Valkey's. */
function reads(server: Server, version: number): boolean {
  if (server.product === 'valkey') return version <= 11 || version === versionWritten(server);
  return version <= versionWritten(server);
}

/** The way on which data cannot go: there, or with --rollback back. */
function wall({ from, to, rollback }: Profile): { writer: Server; reader: Server } | undefined {
  if (!reads(to, versionWritten(from))) return { writer: from, reader: to };
  return rollback && !reads(from, versionWritten(to)) ? { writer: to, reader: from } : undefined;
}

/** Primaries of Valkey 9 write version 11 for replicas that cannot read theirs. */
const versionSent = (primary: Server) => Math.min(versionWritten(primary), primary.product === 'valkey' ? 11 : 99);

const describe = ({ writer, reader }: { writer: Server; reader: Server }) =>
  `${nameServer(writer)} writes RDB version ${versionWritten(writer)}, which ${nameServer(reader)} does not read`;

/** The RDB version in the footer of a payload (its last ten bytes are version and checksum), if it can be one. */
function versionOf(payload: string): number | undefined {
  if (payload.length < 11) return undefined;
  const version = payload.charCodeAt(payload.length - 10) | (payload.charCodeAt(payload.length - 9) << 8);
  return version > 5 && version < 100 ? version : undefined;
}

/** Whether the payload is one that this script dumped on the same server. */
const isOwnDump = (value: Value) =>
  [...partsOf(value)].some((part) => part.kind === 'reply' && part.call.name === 'dump');

/** A capture cuts arguments: only what is shorter is whole. */
const CUT_BYTES = 64;

export const rdbFormat = defineRule({
  code: 'D34',
  name: 'rdb-format-wall',
  title: 'payloads, files and streams that the other server cannot read',
  category: 'incompatible',
  evidence: 'ast',
  worst: 'error',
  range: {
    text: 'Redis >= 7.4 -> any Valkey; Valkey >= 9.0 -> anything older or Redis; any -> Redis of an older format',
    applies: (profile) => wall(profile) !== undefined,
  },
  severity: () => 'error',
  mechanism:
    'DUMP payloads, RDB files and replication carry the version of the RDB format: 10 on Redis 7.0, 11 on 7.2 and Valkey up to 8.1, 12 on Redis 7.4 and 8.0, 13 on 8.6, 80 on Valkey 9.1. A server refuses what is newer than its own, and since 12 the two products number apart: RESTORE, MIGRATE and REPLICAOF fail.',
  fix: 'Copy by commands (SCAN and a write for each type). Valkey 9 with rdb-version-check relaxed loads version 12 without field TTLs and vector sets.',
  proof:
    'A payload of each of Redis 6.0.16, 7.0.15, 8.0.2, 8.6.3 and Valkey 8.0.1, 8.1.1, 9.1.2 restored on each; RDB files and replication between nine releases.',
  examples: {
    bad: [
      {
        profile: '--from redis@8.0 --to valkey@8.1',
        lua: "return redis.call('RESTORE', KEYS[1], 0, '\\0\\5hello\\12\\0\\168\\4\\235\\182\\159\\30\\190C')",
        at: 'redis.call',
        note: 'Dumped by Redis 8.0.',
        proof: { keys: ['k'], from: /^"OK"$|^\{"ok":"OK"\}$/, to: /DUMP payload version or checksum are wrong/ },
      },
      {
        profile: '--from redis@8.0 --to valkey@9.1',
        lua: "return redis.call('RESTORE', KEYS[1], 0, ARGV[1], 'REPLACE')",
        at: 'redis.call',
        severity: 'warning',
        note: 'If it was dumped before the migration.',
      },
      {
        profile: '--from redis@7.4 --to valkey@8.1',
        commands: 'MIGRATE 10.0.0.2 6379 key 0 1000',
        at: 'MIGRATE',
        severity: 'warning',
      },
      {
        profile: '--from redis@8.0 --to valkey@8.1',
        config: 'port 6379\nreplicaof 10.0.0.1 6379\n',
        at: 'replicaof',
      },
      {
        profile: '--from redis@7.0 --to valkey@8.1 --rollback',
        config: 'dbfilename dump.rdb\n',
        at: 'dbfilename',
        severity: 'info',
        note: 'There it is read; what Valkey writes is not read back by Redis 7.0.',
      },
    ],
    good: [
      {
        profile: '--from redis@8.0 --to valkey@8.1',
        lua: "return redis.call('RESTORE', KEYS[1], 0, '\\0\\5hello\\n\\0cr\\223ve4 \\n')",
        note: 'Dumped by Redis 7.0.',
        proof: { keys: ['k'] },
      },
      {
        profile: '--from redis@8.0 --to valkey@8.1',
        lua: "redis.call('SET', KEYS[1], 'x')\nreturn redis.call('RESTORE', KEYS[2], 0, redis.call('DUMP', KEYS[1]))",
        note: 'Within one server.',
        proof: { keys: ['a', 'b'] },
      },
      {
        profile: '--from redis@8.0 --to valkey@8.1',
        config: 'port 6379\nappendonly no\n# replicaof 10.0.0.1 6379\n',
      },
    ],
  },
  check({ profile, report, reportCommand, reportRange }) {
    const way = wall(profile)!;
    const { writer, reader } = way;
    const restored = (payload: string | undefined): 'refused' | 'read' | 'unknown' => {
      const version = payload === undefined ? undefined : versionOf(payload);
      if (version === undefined) return 'unknown';
      return reads(profile.to, version) ? 'read' : 'refused';
    };
    const restore = (call: CommandCall) => {
      const payload = call.args[2];
      if (payload === undefined || isOwnDump(payload) || payload.kind === 'hole') return;
      const outcome = restored(stringOf(payload));
      if (outcome === 'read') return;
      if (outcome === 'refused')
        report(call.node, { message: `${nameServer(profile.to)} does not read this payload: ${describe(way)}` });
      else
        report(call.node, {
          message: `a payload that was dumped on the other side is refused: ${describe(way)}`,
          severity: 'warning',
        });
    };
    return {
      call(call) {
        if (call.name === 'restore') restore(call);
        else if (call.name === 'migrate') {
          report(call.node, { message: `MIGRATE between the two fails: ${describe(way)}`, severity: 'warning' });
        }
      },
      command(command) {
        const { name, args } = command;
        if (name === 'migrate') {
          reportCommand(command, { message: `MIGRATE between the two fails: ${describe(way)}`, severity: 'warning' });
        } else if (name === 'restore' || name === 'restore-asking') {
          const payload = args[2];
          const outcome = restored(payload !== undefined && payload.length < CUT_BYTES ? payload : undefined);
          if (outcome === 'read') return;
          reportCommand(command, {
            message:
              outcome === 'refused'
                ? `${nameServer(profile.to)} does not read this payload: ${describe(way)}`
                : `a payload that was dumped on the other side is refused: ${describe(way)}`,
            ...(outcome === 'refused' ? {} : { severity: 'warning' as const }),
          });
        }
      },
      directive({ name, args, offset }) {
        const end = offset + name.length;
        if ((name === 'replicaof' || name === 'slaveof') && args[0]?.toLowerCase() !== 'no') {
          if (reads(reader, versionSent(writer))) return;
          reportRange(offset, end, {
            message: `${nameServer(reader)} cannot be a replica of ${nameServer(writer)}, nor take over by it: ${describe(way)}`,
          });
        } else if (name === 'dbfilename' || (name === 'appendonly' && args[0]?.toLowerCase() === 'yes')) {
          const file = name === 'dbfilename' ? 'this file' : 'the base file of the AOF';
          reportRange(offset, end, { message: `${file} cannot be taken over: ${describe(way)}`, severity: 'info' });
        }
      },
    };
  },
});
