/** Workloads longer than their capture: what was done with begins anew, what expires is followed by others. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { buildModel } from '../../src/model/build.ts';
import { readCommand } from '../../src/plan/planned-ops.ts';
import { Synthesis } from '../../src/plan/synthesize.ts';

/** Hits and misses of GET over a server that has nothing but SET, EXPIRE and DEL. */
function lookups(synthesis: Synthesis, seconds: number): { hits: number; misses: number } {
  const untilUs = new Map<string, number>();
  const words = (bytes: Uint8Array, start: number) =>
    readCommand(bytes, start).map((word) => Buffer.from(word).toString());
  const ttlUs = (args: string[]) => {
    const at = args.findIndex((word) => word.toUpperCase() === 'EX');
    return at < 0 ? Number.POSITIVE_INFINITY : Number(args[at + 1]) * 1e6;
  };
  for (const bytes of synthesis.plan.preload.databases.flatMap(({ chunks }) => [...chunks()])) {
    for (let start = 0; start < bytes.length; ) {
      const command = readCommand(bytes, start);
      const args = command.map((word) => Buffer.from(word).toString());
      if (args[0] === 'set') untilUs.set(args[1]!, ttlUs(args));
      const last = command.at(-1)!;
      start = last.byteOffset - bytes.byteOffset + last.length + 2;
    }
  }
  const slice = synthesis.slice(0, 0, seconds);
  const found = { hits: 0, misses: 0 };
  for (let i = 0; i < slice.count; i++) {
    const args = words(slice.bytes, slice.offset[i]!);
    const [command, key] = args as [string, string];
    const atUs = slice.intendedUs[i]!;
    const isThere = (untilUs.get(key) ?? 0) > atUs;
    if (command === 'get') found[isThere ? 'hits' : 'misses']++;
    else if (command === 'set') untilUs.set(key, atUs + ttlUs(args));
    else if (command === 'expire' && isThere) untilUs.set(key, atUs + Number(args[2]) * 1e6);
    else if (command === 'del') untilUs.delete(key);
  }
  return found;
}

test('sessions are found as often in the tenth time over as in the first', async () => {
  const { model } = await buildModel(join(import.meta.dirname, '../../captures/sessions.monitor.gz'));
  const captured = model.lookups!.hits / (model.lookups!.hits + model.lookups!.misses);
  for (const [times, rate] of [
    [1, 1],
    [10, 1],
    [3, 2],
  ] as const) {
    const options = { seed: '1', epochSeconds: 1_700_000_000, rate: rate * Synthesis.capturedRate(model) };
    const { hits, misses } = lookups(new Synthesis(model, options), times * model.source.spanSeconds);
    const ratio = hits / (hits + misses);
    assert.ok(Math.abs(ratio - captured) <= 0.01, `${ratio} of ${captured}, ${times} times over at ${rate}x`);
  }
});
