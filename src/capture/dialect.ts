/** What a capture's lines betray: which stamp they carry, which generation of server printed them, and whether it was a replica. */
import { COMMANDS } from './commands.ts';
import type { OpView } from './ops.ts';

export type Clock = 'start' | 'end' | 'unknown';

const CLIENT_GENERATION = new Set(['client', 'quit']);

interface Writer {
  writes: number;
  reads: number;
  /** Signs of a replication stream: PXAT, KEEPTTL, PEXPIREAT. */
  effects: number;
}

const MIN_REPLICA_WRITES = 20;

export class Dialect {
  private startVotes = 0;
  private endVotes = 0;
  /** At least: 6.2.4 (1), 7.0 (2); and what the source of module children shows. */
  private atLeast = 0;
  private clearAuth = false;
  private readonly writers = new Map<number, Writer>();
  private writes = 0;

  see(op: OpView): void {
    if (op.kind !== 'command') return;
    const { command } = op;
    if (command === 'select') this.seeSelect(op);
    else if (command === 'hello') this.atLeast = Math.max(this.atLeast, 1);
    else if (command === 'auth') this.clearAuth ||= op.argCount > 1 && !op.wasRedacted(1);
    else if (CLIENT_GENERATION.has(command)) this.atLeast = Math.max(this.atLeast, 2);
    const info = COMMANDS.get(command);
    if (!info || (!info.write && !info.readonly)) return;
    let writer = this.writers.get(op.clientId);
    if (!writer) {
      writer = { writes: 0, reads: 0, effects: 0 };
      this.writers.set(op.clientId, writer);
    }
    if (info.write) {
      writer.writes++;
      this.writes++;
      if (command === 'pexpireat' || (command === 'set' && hasEffectOption(op))) writer.effects++;
    } else writer.reads++;
  }

  /** SELECT shows the new database where lines are printed after execution (6.2.4 and later), the old one before. */
  private seeSelect(op: OpView): void {
    const wanted =
      op.argCount === 2 && op.argLength(1) <= 2 ? Number(Buffer.from(op.arg(1)).toString('latin1')) : Number.NaN;
    if (!Number.isInteger(wanted) || wanted < 0 || wanted > 15) return;
    if (op.db === wanted && wanted !== 0) this.endVotes++;
    else if (op.db !== wanted) this.startVotes++;
  }

  get clock(): Clock {
    if (this.atLeast > 0) return 'end';
    if (this.endVotes !== this.startVotes) return this.endVotes > this.startVotes ? 'end' : 'start';
    return this.clearAuth ? 'start' : 'unknown';
  }

  /** In words, as far as the lines tell. */
  server(sources: string[]): string {
    if (this.atLeast >= 2) {
      if (sources.includes('')) return 'Redis 7.2 or later, or Valkey';
      return sources.includes('?:0') ? 'Redis 7.0' : 'Redis 7.0 or later, or Valkey';
    }
    if (this.atLeast === 1 || this.clock === 'end') return 'Redis 6.2.4 or later, or Valkey';
    return this.clearAuth ? 'Redis 5.0.9 or earlier' : this.clock === 'start' ? 'Redis 6.2.3 or earlier' : 'unknown';
  }

  /** Number of the source that all writes came from as effects of commands elsewhere: the link to a primary. */
  get primaryLink(): number | undefined {
    for (const [source, { writes, reads, effects }] of this.writers) {
      if (writes === this.writes && writes >= MIN_REPLICA_WRITES && reads === 0 && effects > 0) return source;
    }
    return undefined;
  }
}

/** Options that only a primary adds to what it sends its replicas. */
function hasEffectOption(op: OpView): boolean {
  for (let i = 3; i < op.argCount; i++) {
    const word = op.argLength(i) <= 7 ? Buffer.from(op.arg(i)).toString('latin1').toUpperCase() : '';
    if (word === 'PXAT' || word === 'KEEPTTL') return true;
  }
  return false;
}
