/** A server's keys → a sample of them, read without changing anything: what exists before the first line. */
import { setTimeout as sleep } from 'node:timers/promises';
import { encodeArgument } from '../encode.ts';
import type { Control } from './connection.ts';
import type { Dataset, SampledKey } from './sidecar.ts';

const BATCH_KEYS = 100;
const MAX_SECONDS = 60;
/** The server is left alone for so many times as long as the last batch took. */
const REST_FACTOR = 2;
/** Longer keys are left out: the sidecar is no place for them. */
const MAX_KEY_BYTES = 1024;
/** Elements of larger values are not fetched. */
const MAX_FETCHED_BYTES = 1 << 16;
const ELEMENTS = 5;

const LENGTH: Record<string, string> = {
  string: 'STRLEN',
  list: 'LLEN',
  set: 'SCARD',
  hash: 'HLEN',
  zset: 'ZCARD',
  stream: 'XLEN',
};

export interface SampleOptions {
  /** At most so many, in all databases together. */
  keys: number;
  /** Keys by database, from INFO keyspace. */
  databases: Record<string, number>;
  /** Reading a value counts as a use of it, to eviction; without leave only what does not is asked. */
  mayTouch: boolean;
  /** What stands for a key in the capture. */
  redact: (key: Buffer) => Uint8Array;
  signal: AbortSignal;
  onProgress?: (sampled: number) => void;
}

/** SCAN begins at one bucket of the hash table and goes on in the order of hashes: what it meets first is a fair sample. */
export async function sampleDataset(control: Control, options: SampleOptions): Promise<Dataset | undefined> {
  const { databases, keys } = options;
  const total = Object.values(databases).reduce((sum, count) => sum + count, 0);
  const dataset: Dataset = { takenAt: new Date().toISOString(), keys: databases, complete: true, sampled: [] };
  const deadlineMs = performance.now() + MAX_SECONDS * 1000;
  for (const [db, count] of Object.entries(databases)) {
    const share = Math.ceil((keys * count) / Math.max(1, total));
    if ((await control.ask('SELECT', db)) === undefined) {
      dataset.complete = false;
      continue;
    }
    let cursor = '0';
    let left = share;
    do {
      const startedMs = performance.now();
      const reply = await control.raw('SCAN', cursor, 'COUNT', `${BATCH_KEYS}`);
      if (!Array.isArray(reply)) return undefined;
      cursor = String(reply[0]);
      const found = reply[1] as Buffer[];
      const batch = found.slice(0, left);
      dataset.complete &&= batch.length === found.length;
      const described = await Promise.all(batch.map((key) => describe(control, Number(db), key, options)));
      dataset.sampled.push(...described.filter((key) => key !== undefined));
      left -= batch.length;
      options.onProgress?.(dataset.sampled.length);
      if (options.signal.aborted || performance.now() > deadlineMs) return { ...dataset, complete: false };
      await sleep(Math.min(1000, REST_FACTOR * (performance.now() - startedMs)));
    } while (cursor !== '0' && left > 0);
    dataset.complete &&= cursor === '0';
  }
  return dataset;
}

/** One key, in two round trips; undefined if it is gone meanwhile. */
async function describe(
  control: Control,
  db: number,
  key: Buffer,
  { mayTouch, redact }: SampleOptions,
): Promise<SampledKey | undefined> {
  if (key.length > MAX_KEY_BYTES) return undefined;
  const [type, pttl, bytes, encoding] = await Promise.all([
    control.raw('TYPE', key),
    control.raw('PTTL', key),
    control.raw('MEMORY', 'USAGE', key),
    control.raw('OBJECT', 'ENCODING', key),
  ]);
  if (type === undefined || String(type) === 'none') return undefined;
  const sampled: SampledKey = {
    db,
    key: encodeArgument(redact(key)),
    type: String(type),
    pttlMs: Number(pttl ?? -1),
    ...(typeof bytes === 'number' ? { bytes } : {}),
    ...(encoding ? { encoding: String(encoding) } : {}),
  };
  const length = LENGTH[sampled.type];
  if (!mayTouch || !length) return sampled;
  const small = sampled.bytes !== undefined && sampled.bytes <= MAX_FETCHED_BYTES;
  const [count, elements] = await Promise.all([
    control.raw(length, key),
    small ? fetchElements(control, sampled.type, key) : undefined,
  ]);
  if (typeof count === 'number') sampled.length = count;
  if (elements) sampled.elementBytes = elements.slice(0, 2 * ELEMENTS).map((element) => element.length);
  return sampled;
}

async function fetchElements(control: Control, type: string, key: Buffer): Promise<Buffer[] | undefined> {
  switch (type) {
    case 'list':
      return (await control.raw('LRANGE', key, '0', `${ELEMENTS - 1}`)) as Buffer[] | undefined;
    case 'hash':
    case 'set':
    case 'zset': {
      const command = { hash: 'HSCAN', set: 'SSCAN', zset: 'ZSCAN' }[type];
      const reply = (await control.raw(command, key, '0', 'COUNT', `${ELEMENTS}`)) as [Buffer, Buffer[]] | undefined;
      // Of a sorted set every other one is a score.
      return reply?.[1].filter((_, i) => type !== 'zset' || i % 2 === 0);
    }
    case 'stream': {
      const entries = (await control.raw('XRANGE', key, '-', '+', 'COUNT', `${ELEMENTS}`)) as
        | [Buffer, Buffer[] | null][]
        | undefined;
      return entries?.map(([, fields]) => Buffer.concat(fields ?? []));
    }
    default:
      return undefined;
  }
}
