/** What a capture's lines betray: which stamp they carry, which generation of server printed them, and whether it was a replica. */
import type { OpView } from './ops.ts';

export type Clock = 'start' | 'end' | 'unknown';

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

/** What was seen of one source. */
interface Source {
  /** As of its line before, -1 at first. */
  db: number;
  writes: number;
  /** It sent what a primary never sends its replicas: a read, a handshake, a blocking command. */
  isClient: boolean;
  /** It sent what a primary makes of other commands: PXAT, KEEPTTL, PEXPIREAT. */
  sendsEffects: boolean;
}

export class Dialect {
  private readonly sources: Source[] = [];
  private writes = 0;
  private startVotes = 0;
  private endVotes = 0;
  /** First lines of a client that select the database which their header shows: fresh connections at an end-stamping server, as a rule. */
  private weakEndVotes = 0;
  /** 7.0 or later; 6.2.4 or later; 5.0.9 or earlier. */
  private since7 = false;
  private since624 = false;
  private clearAuth = false;

  /** Must see every op, in order. */
  see(op: OpView): void {
    if (op.kind !== 'command') return;
    this.sources[op.clientId] ??= { db: -1, writes: 0, isClient: false, sendsEffects: false };
    const source = this.sources[op.clientId]!;
    const { command, info } = op;
    const before = source.db;
    source.db = op.db;
    if (info?.group === 'connection') {
      if (command === 'select') this.seeSelect(op, source, before);
      else if (command === 'hello' || (command === 'auth' && op.wasRedacted(1))) this.since624 = true;
      else if (command === 'auth') this.clearAuth = true;
      else if (SHOWN_SINCE_7.has(command)) this.since7 = true;
      source.isClient ||= command !== 'select' && command !== 'ping';
    } else if (info?.write) {
      this.writes++;
      source.writes++;
      source.isClient ||= info.blocking || NEVER_REPLICATED.has(command);
      if (!source.isClient)
        source.sendsEffects ||= command === 'pexpireat' || (command === 'set' && hasEffectOption(op));
    } else source.isClient ||= info?.readonly === true || CALLS.test(command);
  }

  /** The header of a SELECT shows the new database where lines are printed after execution, the old one where before. */
  private seeSelect(op: OpView, source: Source, before: number): void {
    const wanted = op.argCount === 2 && op.argLength(1) <= 2 ? Number(Buffer.from(op.arg(1)).toString('latin1')) : -1;
    if (!(wanted >= 0 && wanted < DATABASES) || wanted === before) return;
    if (op.db !== wanted) {
      this.startVotes++;
      source.db = wanted;
    } else if (before >= 0) this.endVotes++;
    else if (wanted > 0) this.weakEndVotes++;
  }

  /** Whether a line's time is that of its command's start (up to 6.2.3) or end (since 6.2.4). */
  get clock(): Clock {
    if (this.since7 || this.since624) return 'end';
    if (this.startVotes !== this.endVotes) return this.startVotes > this.endVotes ? 'start' : 'end';
    if (this.clearAuth) return 'start';
    return this.weakEndVotes > 0 ? 'end' : 'unknown';
  }

  /** In words, as far as the lines tell. */
  server(sources: string[]): string {
    if (this.since7 || sources.includes('')) {
      if (sources.includes('')) return 'Redis 7.2 or later, or Valkey';
      return sources.includes('?:0') ? 'Redis 7.0' : 'Redis 7.0 or later, or Valkey';
    }
    if (this.clock === 'end') return 'Redis 6.2.4 or later, or Valkey';
    return this.clearAuth ? 'Redis 5.0.9 or earlier' : this.clock === 'start' ? 'Redis 6.2.3 or earlier' : 'unknown';
  }

  /** Number of the source that all writes came from as effects of commands elsewhere: the link to a primary. */
  get primaryLink(): number | undefined {
    if (this.writes < MIN_REPLICA_WRITES) return undefined;
    const link = this.sources.findIndex((source) => source?.writes === this.writes);
    const source = this.sources[link];
    return source && !source.isClient && source.sendsEffects ? link : undefined;
  }
}

/** Options that a primary adds to what it sends its replicas. */
function hasEffectOption(op: OpView): boolean {
  for (let i = 3; i < op.argCount; i++) {
    const word = op.argLength(i) <= 7 ? Buffer.from(op.arg(i)).toString('latin1').toUpperCase() : '';
    if (word === 'PXAT' || word === 'KEEPTTL') return true;
  }
  return false;
}
