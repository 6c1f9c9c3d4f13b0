/** A capture's sidecar → how many keys each database held when the capture began. */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { sidecarPath } from '../capture/record/sidecar.ts';

const info = z.looseObject({ keyspace: z.record(z.string(), z.string()).optional() });
const schema = z.looseObject({
  /** Where one recording is one burst. */
  before: info.optional(),
  bursts: z.array(z.looseObject({ before: info.optional() })).optional(),
});

/** Keys by database, where the sidecar says so: a database that it does not list was empty. */
export async function keysAtStart(capture: string): Promise<ReadonlyMap<number, number> | undefined> {
  let keyspace: Record<string, string> | undefined;
  try {
    const { before, bursts } = schema.parse(JSON.parse(await readFile(sidecarPath(capture), 'utf8')));
    keyspace = (before ?? bursts?.[0]?.before)?.keyspace;
  } catch {
    // No sidecar, or another file of that name: it only adds.
  }
  if (!keyspace) return undefined;
  const count = (fields: string) => Number(/\bkeys=(\d+)/.exec(fields)?.[1] ?? 0);
  return new Map(Object.entries(keyspace).map(([name, fields]) => [Number(name.replace('db', '')), count(fields)]));
}
