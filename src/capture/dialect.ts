/** What a capture's lines betray: which stamp they carry, which server printed them, and whether it was a replica. */
import { REDACTED } from './batch.ts';
import type { CommandInfo } from './commands.ts';
import type { OpView } from './ops.ts';

export type Clock = 'start' | 'end' | 'unknown';

/** What a command tells of who sent it. */
export const Role = { none: 0, connection: 1, read: 2, write: 3, clientWrite: 4, set: 5, effect: 6 } as const;

/** Visible since Redis 7.0. */
const SHOWN_SINCE_7 = new Set(['client', 'quit']);
/** Writes that a primary sends its replicas as something else: INCRBYFLOAT as SET, SPOP as SREM, GETEX as PEXPIREAT. */
const NEVER_REPLICATED = new Set(['incrbyfloat', 'hincrbyfloat', 'spop', 'getex']);
/** Scripts are replicated as their effects. */
const CALLS = /^(eval|fcall)/;
/** Databases that every server has unless it was configured to have fewer: SELECT of others may have failed. */
const DATABASES = 16;
/** Fewer writes say nothing. */
const MIN_REPLICA_WRITES = 20;
export const NO_DB = -1;
const NO_WRITER = -1;
const MANY_WRITERS = -2;
/** Options that a primary adds to what it sends its replicas. */
const EFFECT_OPTIONS = [Buffer.from('PXAT'), Buffer.from('KEEPTTL')];

/** `command`: in lower case. */
export function roleOf(command: string, info: CommandInfo | undefined): number {
  if (info?.write) {
    if (info.blocking || NEVER_REPLICATED.has(command)) return Role.clientWrite;
    return command === 'set' ? Role.set : command === 'pexpireat' ? Role.effect : Role.write;
  }
  if (info?.readonly || CALLS.test(command)) return Role.read;
  return info?.group === 'connection' ? Role.connection : Role.none;
}

/** What was seen in one stretch of a capture; stretches add up. */
export interface Evidence extends Votes, Traits {}

/** What single lines show by their form: of the server, and of what stands between it and us. Numbers are of lines. */
export interface Traits {
  /** Redis 2.4 or earlier: no client in the header. */
  oldHeaders: number;
  /** Kvrocks. */
  namespaces: number;
  /** Dragonfly. */
  longFractions: number;
  replicationSource: boolean;
  /** A time that was printed as a double (Pika). */
  shortFractions: number;
  /** Module children: 7.2 and later have no source for them, 7.0 and earlier a question mark. */
  emptySource: boolean;
  questionSource: boolean;
  blanks: number;
  /** `OK`: one where a recording begins. */
  starts: number;
  /** Of redis-cli, script(1), telnet: neither records nor damage. One of them may say that the connection was closed. */
  notices: number;
  closed: boolean;
  /** Behind the prefix of a Redis Enterprise proxy. */
  proxied: number;
  /** That printed lines, as far as a prefix says so (`redis-1  | `). */
  containers: string[];
}

export const noTraits = (): Traits => ({
  ...{ oldHeaders: 0, namespaces: 0, longFractions: 0, replicationSource: false, shortFractions: 0 },
  ...{
    emptySource: false,
    questionSource: false,
    blanks: 0,
    starts: 0,
    notices: 0,
    closed: false,
    proxied: 0,
    containers: [],
  },
});

/** What the commands show. */
interface Votes {
  /** Lines that say: stamped at the start, at the end; and first lines of a client that select the database which their header shows. */
  startVotes: number;
  endVotes: number;
  weakEndVotes: number;
  /** 7.0 or later; 6.2.4 or later; 5.0.9 or earlier. */
  since7: boolean;
  since624: boolean;
  clearAuth: boolean;
  writes: number;
  /** The one source that all writes came from, if there is one. */
  writer: { source: string; isClient: boolean; sendsEffects: boolean } | undefined;
}

export class Dialect {
  private startVotes = 0;
  private endVotes = 0;
  private weakEndVotes = 0;
  private since7 = false;
  private since624 = false;
  private clearAuth = false;
  /** The one source of all writes so far, and how many these are. */
  private writer = NO_WRITER;
  private writes = 0;
  /** The writer sent what a primary makes of other commands: PXAT, KEEPTTL, PEXPIREAT. */
  private sendsEffects = false;
  /** By source: whether it sent what no primary sends: a read, a handshake, a blocking command. */
  private isClient = new Uint8Array(256);

  /** Whether `seeData` must see every command of a client still. */
  get seeksWriter(): boolean {
    return this.writer !== MANY_WRITERS;
  }

  /** Looks for the link to a primary, which all writes come from. */
  seeData(op: OpView, role: number): void {
    if (role === Role.none || role === Role.connection) return;
    const { clientId } = op;
    if (role === Role.read || role === Role.clientWrite) this.markClient(clientId);
    if (role === Role.read) return;
    this.writes++;
    if (this.writer === NO_WRITER) this.writer = clientId;
    else if (this.writer !== clientId) this.writer = MANY_WRITERS;
    this.sendsEffects ||= role === Role.effect || (role === Role.set && hasEffectOption(op));
  }

  /** `source`: the text of a source. */
  votes(sourceText: (number: number) => string): Votes {
    const { startVotes, endVotes, weakEndVotes, since7, since624, clearAuth, writes, writer, sendsEffects } = this;
    return {
      ...{ startVotes, endVotes, weakEndVotes, since7, since624, clearAuth, writes },
      writer:
        writer < 0 ? undefined : { source: sourceText(writer), isClient: this.isClient[writer] === 1, sendsEffects },
    };
  }

  /**
   * Must see all commands of the connection, in order; `before`: the client's database as of its line before, NO_DB if there
   * is none. Returns the database that the client has got, where its line does not show it; NO_DB otherwise.
   */
  seeConnection(op: OpView, before: number): number {
    const { command, clientId } = op;
    if (command !== 'select' && command !== 'ping') this.markClient(clientId);
    if (command === 'select') return this.seeSelect(op, before);
    if (command === 'hello' || (command === 'auth' && op.argCount > 1 && REDACTED.equals(op.arg(1)))) {
      this.since624 = true;
    } else if (command === 'auth') this.clearAuth = true;
    else if (SHOWN_SINCE_7.has(command)) this.since7 = true;
    return NO_DB;
  }

  /** The header of a SELECT shows the new database where lines are printed after execution, the old one where before. */
  private seeSelect(op: OpView, before: number): number {
    const wanted = op.argCount === 2 && op.argLength(1) <= 2 ? Number(Buffer.from(op.arg(1)).toString('latin1')) : -1;
    if (!(wanted >= 0 && wanted < DATABASES) || wanted === before) return NO_DB;
    if (op.db !== wanted) {
      this.startVotes++;
      return wanted;
    }
    if (before !== NO_DB) this.endVotes++;
    else if (wanted > 0) this.weakEndVotes++;
    return NO_DB;
  }

  private markClient(clientId: number): void {
    if (clientId >= this.isClient.length) {
      const isClient = new Uint8Array(2 ** Math.ceil(Math.log2(clientId + 1)));
      isClient.set(this.isClient);
      this.isClient = isClient;
    }
    this.isClient[clientId] = 1;
  }
}

/** Whether a line's time is that of its command's start (up to 6.2.3) or end (since 6.2.4). */
export function clockOf({ startVotes, endVotes, weakEndVotes, since7, since624, clearAuth }: Evidence): Clock {
  if (since7 || since624) return 'end';
  if (startVotes !== endVotes) return startVotes > endVotes ? 'start' : 'end';
  if (clearAuth) return 'start';
  return weakEndVotes > 0 ? 'end' : 'unknown';
}

/** Which server it was, in words, as far as the lines tell. */
export function serverOf(evidence: Evidence, approximate: boolean): string {
  const { since7, emptySource, questionSource, clearAuth } = evidence;
  if (evidence.namespaces > 0) return 'Kvrocks';
  if (evidence.longFractions > 0 || evidence.replicationSource) return 'Dragonfly';
  if (evidence.oldHeaders > 0) return 'Redis 2.4 or earlier';
  if (evidence.proxied > 0) return 'Redis Enterprise';
  if (evidence.shortFractions > 0) return 'Pika';
  if (approximate) return 'Valkey 8.1.0 or 8.1.1';
  if (emptySource) return 'Redis 7.2 or later, or Valkey';
  if (since7) return questionSource ? 'Redis 7.0' : 'Redis 7.0 or later, or Valkey';
  const clock = clockOf(evidence);
  if (clock === 'end') return 'Redis 6.2.4 or later, or Valkey';
  return clearAuth ? 'Redis 5.0.9 or earlier' : clock === 'start' ? 'Redis 6.2.3 or earlier' : 'unknown';
}

/** The evidence of two stretches, the second behind the first. */
export function addEvidence(a: Evidence, b: Evidence): Evidence {
  return {
    startVotes: a.startVotes + b.startVotes,
    endVotes: a.endVotes + b.endVotes,
    weakEndVotes: a.weakEndVotes + b.weakEndVotes,
    since7: a.since7 || b.since7,
    since624: a.since624 || b.since624,
    clearAuth: a.clearAuth || b.clearAuth,
    writes: a.writes + b.writes,
    writer: a.writes === 0 ? b.writer : b.writes === 0 ? a.writer : sameWriter(a.writer, b.writer),
    oldHeaders: a.oldHeaders + b.oldHeaders,
    namespaces: a.namespaces + b.namespaces,
    longFractions: a.longFractions + b.longFractions,
    replicationSource: a.replicationSource || b.replicationSource,
    shortFractions: a.shortFractions + b.shortFractions,
    emptySource: a.emptySource || b.emptySource,
    questionSource: a.questionSource || b.questionSource,
    blanks: a.blanks + b.blanks,
    starts: a.starts + b.starts,
    notices: a.notices + b.notices,
    closed: a.closed || b.closed,
    proxied: a.proxied + b.proxied,
    containers: [...new Set([...a.containers, ...b.containers])],
  };
}

function sameWriter(a: Evidence['writer'], b: Evidence['writer']): Evidence['writer'] {
  if (a === undefined || b === undefined || a.source !== b.source) return undefined;
  return { source: a.source, isClient: a.isClient || b.isClient, sendsEffects: a.sendsEffects || b.sendsEffects };
}

/** Whether all writes came from one source as effects of commands elsewhere: over the link to a primary. */
export function isReplica({ writes, writer }: Evidence): boolean {
  return writes >= MIN_REPLICA_WRITES && writer !== undefined && !writer.isClient && writer.sendsEffects;
}

function hasEffectOption(op: OpView): boolean {
  for (let i = 3; i < op.argCount; i++) if (EFFECT_OPTIONS.some((word) => op.isWord(i, word))) return true;
  return false;
}
