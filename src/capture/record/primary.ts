/** One server to capture: what it is, what MONITOR would cost it, and the file and sidecar that its lines go to. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type CutoverError, messageOf } from '../../errors.ts';
import { type Cost, predictCost, type Traffic } from './advisor.ts';
import { type Control, type Endpoint, openControl } from './connection.ts';
import { type Identity, type Info, identify } from './identity.ts';
import { openMonitor } from './monitor-stream.ts';
import { costUnknown, isReplica, monitorRefused, tooDear, unguardable } from './refusals.ts';
import { sampleDataset } from './sample.ts';
import type { Sidecar } from './sidecar.ts';
import { readConfig, readConnections, readInfo } from './snapshot.ts';

/** Long enough to average over what clients do in turns. */
export const MEASURED_MS = 2000;
/** No client has this number: asked to end it, a server that may do so answers 0. */
const NOBODY = `${Number.MAX_SAFE_INTEGER}`;
/** The server may hold back so much for a reader that lags; a share of what is free under maxmemory, where there is one. */
const MAX_BUFFER_BYTES = 16 << 20;
const MIN_BUFFER_BYTES = 2 << 20;
const HEADROOM_SHARE = 1 / 8;

/** Where a burst begins, to compare with. */
export interface Baseline extends Traffic {
  /** Share of one core that the server's main thread uses; undefined where it does not tell. */
  cpuShare: number | undefined;
  evictedPerSecond: number;
  /** Mean length of a turn of its event loop, in µs; undefined before 7.2. */
  turnUs: number | undefined;
}

export class Primary {
  readonly endpoint: Endpoint;
  /** Without credentials. */
  readonly spec: string;
  readonly file: string;
  identity: Identity = { product: 'other', version: 'unknown' };
  info: Info | undefined;

  constructor(endpoint: Endpoint, spec: string, file: string) {
    this.endpoint = endpoint;
    this.spec = spec;
    this.file = file;
  }

  /** Throws CutoverError (cannotRun) if MONITOR may not run here, or could not be ended from outside. */
  async inspect(control: Control, { replica, unguarded }: { replica: boolean; unguarded: boolean }): Promise<void> {
    this.info = await readInfo(control);
    const fields = this.fields();
    this.identity = identify(fields);
    if (!replica && (fields.role === 'slave' || fields.role === 'replica')) {
      throw isReplica(this.spec, fields.master_host ? `${fields.master_host}:${fields.master_port}` : 'another server');
    }
    const known = await control.ask('COMMAND', 'INFO', 'MONITOR');
    if (Array.isArray(known) && !known[0]) throw this.refused('');
    await this.probe();
    if (!unguarded) {
      const answer = await control.call('CLIENT', 'KILL', 'ID', NOBODY).then(() => undefined, messageOf);
      if (answer !== undefined) throw unguardable(this.spec, answer);
    }
  }

  /** Watches the traffic for two seconds. Undefined where INFO is refused. */
  async measure(control: Control): Promise<Baseline | undefined> {
    const first = await readInfo(control);
    const startMs = performance.now();
    await sleep(MEASURED_MS);
    const second = await readInfo(control);
    if (!first?.stats || !second?.stats) return undefined;
    this.info = second;
    return between(first, second, (performance.now() - startMs) / 1000);
  }

  /** Throws CutoverError (cannotRun) if MONITOR would cost more than `maxShare`, or if nobody can tell. */
  predict(baseline: Baseline | undefined, maxShare: number): Cost | undefined {
    if (!baseline) {
      if (maxShare < 1) throw costUnknown(this.spec);
      return undefined;
    }
    const cost = predictCost(baseline, this.identity);
    if (cost.share > maxShare) throw tooDear(this.spec, cost, maxShare);
    return cost;
  }

  /** How much the server may buffer for the reader before the watchdog ends it. */
  maxBufferBytes(): number {
    const { maxmemory = '0', used_memory = '0' } = this.fields();
    if (!(Number(maxmemory) > 0)) return MAX_BUFFER_BYTES;
    const headroom = Math.max(0, Number(maxmemory) - Number(used_memory));
    return Math.round(Math.min(MAX_BUFFER_BYTES, Math.max(MIN_BUFFER_BYTES, headroom * HEADROOM_SHARE)));
  }

  /** Memory is full and keys are evicted, or writes refused, for whatever the server has to buffer. */
  isFull(): boolean {
    const { maxmemory = '0', used_memory = '0' } = this.fields();
    return Number(maxmemory) > 0 && Number(maxmemory) - Number(used_memory) < MIN_BUFFER_BYTES;
  }

  /** What is known before the first burst. */
  async describe(control: Control, redaction: { values: string; keys: string }): Promise<Sidecar> {
    const [config, connections] = await Promise.all([readConfig(control), readConnections(control)]);
    return {
      schema: 'cutover/capture@1',
      recordedAt: new Date().toISOString(),
      server: { ...this.identity },
      redaction,
      ...(config ? { config } : {}),
      ...(connections ? { connections } : {}),
      bursts: [],
    };
  }

  /** Undefined where SCAN or the list of databases is refused. */
  async sample(
    keys: number,
    redact: (key: Buffer) => Uint8Array,
    signal: AbortSignal,
    onProgress: (sampled: number) => void,
  ): Promise<Sidecar['dataset']> {
    const keyspace = this.info?.keyspace;
    if (!keyspace || keys === 0) return undefined;
    const databases = Object.fromEntries(
      Object.entries(keyspace).map(([db, text]) => [db.slice(2), Number(/keys=(\d+)/.exec(text)?.[1] ?? 0)]),
    );
    using control = await openControl(this.endpoint);
    const untouched = (await control.ask('CLIENT', 'NO-TOUCH', 'ON')) !== undefined;
    const mayTouch = untouched || !/lru|lfu/.test(this.fields().maxmemory_policy ?? 'lru');
    return await sampleDataset(control, { keys, databases, mayTouch, redact, signal, onProgress });
  }

  fields(): Record<string, string> {
    return Object.assign({}, ...Object.values(this.info ?? {}));
  }

  private async probe(): Promise<void> {
    using stream = await openMonitor(this.endpoint);
    try {
      await stream.probe();
    } catch (error) {
      throw this.refused(messageOf(error));
    }
  }

  private refused(answer: string): CutoverError {
    return monitorRefused(this.spec, this.endpoint.host, answer);
  }
}

/** Rates between two readings of INFO, `seconds` apart. */
export function between(first: Info, second: Info, seconds: number): Baseline {
  const rate = (field: string) =>
    Math.max(0, Number(second.stats?.[field] ?? 0) - Number(first.stats?.[field] ?? 0)) / seconds;
  const cpu = (info: Info) => {
    const { cpu: fields = {} } = info;
    const user = fields.used_cpu_user_main_thread ?? fields.used_cpu_user;
    const system = fields.used_cpu_sys_main_thread ?? fields.used_cpu_sys;
    return user === undefined || system === undefined ? undefined : Number(user) + Number(system);
  };
  const [before, after] = [cpu(first), cpu(second)];
  const grown = (field: string) => Number(second.stats?.[field] ?? Number.NaN) - Number(first.stats?.[field] ?? 0);
  const turnUs = grown('eventloop_duration_sum') / grown('eventloop_cycles');
  return {
    inputBytesPerSecond: rate('total_net_input_bytes'),
    commandsPerSecond: rate('total_commands_processed'),
    evictedPerSecond: rate('evicted_keys'),
    cpuShare: before === undefined || after === undefined ? undefined : (after - before) / seconds,
    turnUs: Number.isFinite(turnUs) ? turnUs : undefined,
  };
}
