/** Models of a workload's parts, merged, are the model of the workload. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { buildModel } from '../../src/model/build.ts';
import { compareModels } from '../../src/model/difference.ts';
import { mergeModels } from '../../src/model/merge.ts';
import { type Model, modelSchema } from '../../src/model/model.ts';
import { mulberry32 } from '../../src/model/random.ts';
import { temporaryFile } from '../support/capture.ts';
import { type Line, modelOf, monitorLine, zipfRanks } from '../support/workload.ts';

const START_US = 1_700_000_000e6;
const SPAN_SECONDS = 20;

/** A unit at a time: a cache, sessions that come and go, counters in transactions, feeds in pipelines. */
function workload(seed: number, units: number, keys = 3000): Line[][] {
  const random = mulberry32(seed);
  const pages = zipfRanks(0.9, keys, units, seed);
  const users = zipfRanks(0.6, 200, units, seed + 1);
  const cached = new Set<number>();
  let atUs = START_US;
  return Array.from({ length: units }, (_, i) => {
    atUs += 30 - (Math.log(1 - random()) * SPAN_SECONDS * 1e6) / units;
    const client = `10.0.0.1:${1000 + Math.floor(random() * 12)}`;
    const beginUs = atUs;
    const at = (gapUs: number, args: string[]): Line => ({ atUs: beginUs + gapUs, client, args });
    const kind = random();
    if (kind < 0.4) {
      const page = pages[i]!;
      const get = at(0, ['get', `page:${page}`]);
      if (cached.has(page)) return [get];
      cached.add(page);
      return [get, at(8, ['set', `page:${page}`, 'x'.repeat(50 + (page % 400)), 'EX', page % 2 ? '60' : '3600'])];
    }
    if (kind < 0.6) {
      const session = `session:${100_000 + Math.floor(i / 10) - Math.min(Math.floor(i / 10), Math.floor(random() ** 2 * 60))}`;
      return [at(0, random() < 0.3 ? ['setex', session, '1800', 'x'.repeat(300)] : ['get', session])];
    }
    if (kind < 0.8) {
      const user = users[i]!;
      return [at(0, ['hget', `user:${user}:profile`, 'name'])];
    }
    if (kind < 0.9) {
      const counter = `count:${users[i]! % 40}`;
      return [['multi'], ['incr', counter], ['expire', counter, '60'], ['exec']].map((args, k) => at(k * 3, args));
    }
    return [0, 1, 2].map((k) => at(k * 4, ['lpush', `feed:${(users[i]! + k) % 150}`, 'x'.repeat(20)]));
  });
}

const partsAt = (units: Line[][], cuts: number[]) => {
  const bounds = [0, ...cuts.map((cut) => Math.round(cut * units.length)), units.length];
  return bounds.slice(1).map((until, i) => units.slice(bounds[i], until));
};
const modelsOf = (parts: Line[][][]) => Promise.all(parts.map((part) => modelOf(part.flat())));
const byTemplate = (model: Model) => new Map(model.families.map((family) => [family.template, family]));

/** What adds up must be right to the last one. */
function assertSums(merged: Model, whole: Model): void {
  modelSchema.parse(merged);
  assert.deepEqual(merged.commands, whole.commands);
  assert.deepEqual(merged.transactions, whole.transactions);
  assert.deepEqual(merged.pipelines, whole.pipelines);
  // Two commands on one key that a border parts are an access each; and what a part takes for the fill of a miss, which
  // is part of the read, the whole may know to be none.
  const difference = Math.abs(merged.keyAccesses - whole.keyAccesses);
  assert.ok(difference <= 0.005 * whole.keyAccesses, `${merged.keyAccesses} of ${whole.keyAccesses}`);
  assert.equal(merged.source.parsed, whole.source.parsed);
  const families = byTemplate(whole);
  assert.deepEqual([...byTemplate(merged).keys()].sort(), [...families.keys()].sort());
  for (const family of merged.families) {
    const expected = families.get(family.template)!;
    for (const name of ['requests', 'type', 'commands'] as const) assert.deepEqual(family[name], expected[name], name);
    const atoms = (one: typeof family) => one.ttlSeconds.map(([seconds]) => seconds);
    assert.deepEqual(atoms(family), atoms(expected));
  }
}

/** Every aspect within the target of a faithful copy, or what chance does. */
function assertAlike(merged: Model, whole: Model, allowance: (metric: string) => number = () => 1): void {
  for (const row of compareModels(whole, merged)) {
    assert.ok(
      row.value === undefined || row.value <= allowance(row.metric) * Math.max(row.target, row.chance),
      `${row.aspect}, ${row.metric}: ${row.value} (target ${row.target}, chance ${row.chance})`,
    );
  }
}

test('parts of a capture, cut anywhere', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.nat(),
      fc.double({ min: 0.1, max: 0.45, noNaN: true }),
      fc.option(fc.double({ min: 0.55, max: 0.9, noNaN: true })),
      async (seed, first, second) => {
        const cuts = second === null ? [first] : [first, second];
        const units = workload(seed, 10_000);
        const [whole, ...parts] = await modelsOf([units, ...partsAt(units, cuts)]);
        // In whatever order they are given.
        const merged = mergeModels(parts.reverse());
        assertSums(merged, whole!);
        assertAlike(merged, whole!);
        assert.equal(merged.clients.connections, whole!.clients.connections);
        assert.ok(Math.abs(merged.source.spanSeconds - whole!.source.spanSeconds) < 1e-6);
      },
    ),
    { numRuns: 6, endOnFailure: true },
  );
});

test('families of more keys than a sample holds, in three parts', async () => {
  for (const seed of [1, 2]) {
    const units = workload(seed, 24_000, 20_000);
    const [whole, ...parts] = await modelsOf([units, ...partsAt(units, [0.3, 0.6])]);
    for (const part of parts)
      assert.ok(byTemplate(part).get('page:{int}')!.sample.below < 0.7, 'too few keys to sample');
    const merged = mergeModels(parts);
    assertSums(merged, whole!);
    assertAlike(merged, whole!);
  }
});

const hash = (text: string) => [...text].reduce((h, c) => Math.imul(h ^ c.charCodeAt(0), 0x01000193) >>> 0, 0x811c9dc5);

test('nodes of a cluster, each with keys of its own', async () => {
  const units = workload(21, 10_000).filter((unit) => unit[0]!.args[0] !== 'lpush');
  const keyOf = (unit: Line[]) => String(unit.find(({ args }) => args.length > 1)!.args[1]);
  const [whole, ...nodes] = await modelsOf([
    units,
    ...[0, 1].map((node) => units.filter((unit) => hash(keyOf(unit)) % 2 === node)),
  ]);
  const merged = mergeModels(nodes);
  assertSums(merged, whole!);
  assertAlike(merged, whole!);
});

test('recorders of different clients that share their keys; hit ratios within 0.04', async () => {
  const units = workload(22, 10_000);
  const [whole, ...recorders] = await modelsOf([
    units,
    ...[0, 1].map((recorder) => units.filter(([line]) => Number(line!.client!.at(-1)) % 2 === recorder)),
  ]);
  const merged = mergeModels(recorders);
  assertSums(merged, whole!);
  assertAlike(merged, whole!, (metric) => (metric.startsWith('hit ratios') ? 2 : 1));
  assert.equal(merged.clients.connections, whole!.clients.connections);
});

test('in two steps as in one', async () => {
  const units = workload(3, 9000);
  const [a, b, c] = (await modelsOf(partsAt(units, [0.3, 0.7]))) as [Model, Model, Model];
  const together = mergeModels([a, b, c]);
  for (const steps of [mergeModels([mergeModels([a, b]), c]), mergeModels([a, mergeModels([b, c])])]) {
    assertSums(steps, together);
    assertAlike(steps, together);
  }
});

test('a capture that two threads read is the model of the whole', async () => {
  const lines = workload(4, 12_000).flat();
  const path = temporaryFile('capture.log', lines.map(monitorLine).join(''));
  const whole = await buildModel(path);
  assert.equal(whole.halves, undefined);
  const read: number[] = [];
  const threaded = await buildModel(path, { minStretchBytes: 1 << 19, onProgress: (count) => read.push(count) });
  assertSums(threaded.model, whole.model);
  assertAlike(threaded.model, whole.model);
  assert.deepEqual(threaded.model.source, whole.model.source);
  assert.deepEqual(threaded.caveats, whole.caveats);
  assert.equal(threaded.halves?.length, 2);
  assert.equal(Math.max(...read), lines.length);
});

test('what a thread finds wrong is said as if there were none', async () => {
  const path = temporaryFile('capture.log', 'neither this nor that\n'.repeat(60_000));
  for (const minStretchBytes of [1 << 19, 1 << 30])
    await assert.rejects(buildModel(path, { minStretchBytes }), { code: 'E_CAPTURE_FORMAT' });
});
