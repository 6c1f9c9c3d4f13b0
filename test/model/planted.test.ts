/** What was planted in a generated capture is found in its model, and again in what is synthesized from it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { zipfExponent } from '../../src/model/fit/popularity.ts';
import type { ValueCounts } from '../../src/model/histogram.ts';
import type { Family, Model } from '../../src/model/model.ts';
import { mulberry32 } from '../../src/model/random.ts';
import { remodel } from '../../src/plan/fidelity/fidelity.ts';
import { readCommand } from '../../src/plan/planned-ops.ts';
import { Sampler } from '../../src/plan/random.ts';
import { Synthesis } from '../../src/plan/synthesis/synthesize.ts';
import { type Line, modelOf, zipfRanks } from '../support/workload.ts';

const START_US = 1_700_000_000e6;
const familyOf = (model: Model, template: string): Family => {
  const family = model.families.find((one) => one.template === template);
  assert.ok(family, `${template} is not among ${model.families.map((one) => one.template).join(', ')}`);
  return family;
};
const totalOf = (counts: ValueCounts) => counts.reduce((sum, [, n]) => sum + n, 0);
const near = (actual: number, expected: number, tolerance: number, of: string) =>
  assert.ok(Math.abs(actual - expected) <= tolerance, `${of}: ${actual}, planted ${expected}`);

/** One command every `gapUs`, in turn by a few clients. */
const evenly = (commands: string[][], gapUs = 500): Line[] =>
  commands.map((args, i) => ({ atUs: START_US + i * gapUs, client: `10.0.0.1:${1000 + (i % 7)}`, args }));

test("Zipf's exponent, from even to steeper than any benchmark's, in one capture", async () => {
  // How even keys are shows in the spread of their counts, which takes more requests a key to see.
  const planted = { a: [0, 100], b: [0.6, 500], c: [0.99, 500], d: [1.2, 500], e: [1.6, 500] } as const;
  const ranks = Object.entries(planted).map(([name, [s, keys]]) => ({ name, ranks: zipfRanks(s, keys, 24_000, 11) }));
  const commands = Array.from({ length: 24_000 }, (_, i) =>
    ranks.map(({ name, ranks: own }) => ['get', `${name}:${1000 + own[i]!}`]),
  ).flat();
  const model = await modelOf(evenly(commands));
  for (const [of, one] of Object.entries({ captured: model, synthesized: remodel(model) }))
    for (const [name, [s]] of Object.entries(planted))
      near(familyOf(one, `${name}:{int}`).zipf!, s, 0.02, `${of}: s = ${s}`);
});

test("Zipf's exponent, where most keys are seen once or never", () => {
  for (const s of [0.6, 0.99, 1.2, 1.6]) {
    const counts = new Array(100_000).fill(0);
    for (const rank of zipfRanks(s, counts.length, 100_000, 5)) counts[rank]++;
    near(zipfExponent(counts, mulberry32(1))!, s, 0.02, `s = ${s}`);
  }
});

test('expiries are atoms: the same numbers, as often, also in what is synthesized', async () => {
  const random = mulberry32(3);
  const planted = [1.5, 60, 300, 3600, 86_400];
  const model = await modelOf(
    evenly(
      Array.from({ length: 20_000 }, (_, i) => {
        const seconds = planted[Math.floor(random() * planted.length)]!;
        const key = `page:${i % 3000}`;
        // However they are written: no unit goes with another one's number.
        const forms = [
          ['set', key, 'x', 'PX', String(seconds * 1000)],
          ['set', key, 'x', 'EX', String(seconds)],
          ['setex', key, String(seconds), 'x'],
          ['expire', key, String(seconds)],
          ['getex', key, 'EX', String(seconds)],
        ];
        return forms[Number.isInteger(seconds) ? i % forms.length : 0]!;
      }),
    ),
  );
  const counted = familyOf(model, 'page:{int}').ttlSeconds;
  assert.deepEqual(
    counted.map(([seconds]) => seconds),
    planted,
  );
  const again = familyOf(remodel(model), 'page:{int}').ttlSeconds;
  assert.deepEqual(
    again.map(([seconds]) => seconds),
    planted,
  );
  for (const [i, [seconds, n]] of counted.entries()) {
    near(again[i]![1] / totalOf(again), n / totalOf(counted), 0.02, `share of ${seconds} s`);
  }
});

test('depths of pipelines, within 2 %', async () => {
  const random = mulberry32(4);
  const shares: ValueCounts = [
    [1, 0.6],
    [4, 0.25],
    [10, 0.1],
    [50, 0.05],
  ];
  const depths = new Sampler(shares, 1);
  const lines: Line[] = [];
  let atUs = START_US;
  for (let batch = 0; batch < 8000; batch++) {
    const depth = depths.draw(random);
    const client = `10.0.0.1:${1000 + (batch % 9)}`;
    for (let i = 0; i < depth; i++) {
      lines.push({ atUs: atUs + i * 4, client, args: ['get', `k:${Math.floor(random() * 5000)}`] });
    }
    atUs += 400 + depth * 4;
  }
  const model = await modelOf(lines);
  for (const [of, one] of Object.entries({ captured: model, synthesized: remodel(model) })) {
    const counted = one.pipelines.depths;
    for (const [depth, share] of shares) {
      const n = counted.find(([value]) => value === depth)?.[1] ?? 0;
      near(n / totalOf(counted), share, 0.02, `${of}: share of depth ${depth}`);
    }
  }
});

test('transactions and how they end, within 1 %', async () => {
  const random = mulberry32(5);
  const lines: Line[] = [];
  const planted = { single: 0, committed: 0, empty: 0, discarded: 0 };
  for (let i = 0; i < 10_000; i++) {
    const key = `account:${Math.floor(random() * 500)}`;
    const u = random();
    const kind = u < 0.7 ? 'single' : u < 0.9 ? 'committed' : u < 0.96 ? 'empty' : 'discarded';
    planted[kind]++;
    const commands = {
      single: [['get', key]],
      committed: [['multi'], ['incrby', key, '5'], ['expire', key, '60'], ['exec']],
      // What EXEC did not execute after a watched key had changed is not in a capture.
      empty: [['watch', key], ['multi'], ['exec']],
      discarded: [['multi'], ['discard']],
    }[kind];
    commands.forEach((args, k) => {
      lines.push({ atUs: START_US + i * 1000 + k * 100, client: `10.0.0.1:${1000 + (i % 11)}`, args });
    });
  }
  const model = await modelOf(lines);
  const { committed, empty, discarded, sizes } = model.transactions;
  assert.deepEqual(
    { committed, empty, discarded },
    { committed: planted.committed, empty: planted.empty, discarded: planted.discarded },
  );
  assert.deepEqual(sizes, [
    [0, planted.empty],
    [2, planted.committed],
  ]);
  const again = remodel(model);
  // Discarded transactions change nothing and are not replayed.
  const units = ({ single, committed: done, empty: none }: typeof planted) => single + done + none;
  const all = again.clients.streams.reduce((sum, stream) => sum + stream.units, 0);
  near(again.transactions.committed / all, planted.committed / units(planted), 0.01, 'committed');
  near(again.transactions.empty / all, planted.empty / units(planted), 0.01, 'aborted');
});

test('when keys are born, and how many are never asked for again', async () => {
  // Every key of a session lives for a while; half of the keys of crawlers are seen once.
  const random = mulberry32(6);
  const commands: string[][] = [];
  for (let i = 0; i < 12_000; i++) {
    const newest = Math.floor(i / 8);
    commands.push(['get', `session:${100_000 + Math.max(0, newest - Math.floor(random() * 40))}`]);
    commands.push(['get', `crawl:${i % 3 === 0 ? 10_000 + i : 50_000 + Math.floor((i % 2000) / 2)}`]);
  }
  const model = await modelOf(evenly(commands));
  const once = ({ references }: Family) => (references.find(([n]) => n === 1)?.[1] ?? 0) / totalOf(references);
  const counts = new Map<string, number>();
  for (const [, key] of commands) counts.set(key!, (counts.get(key!) ?? 0) + 1);
  for (const [of, one] of Object.entries({ captured: model, synthesized: remodel(model) })) {
    for (const family of one.families) {
      const own = [...counts].filter(([key]) => key.startsWith(family.template.split(':')[0]!));
      const share = own.filter(([, n]) => n === 1).length / own.length;
      near(once(family), share, of === 'captured' ? 0 : 0.01, `${of}: keys of ${family.template} seen once`);
      near(
        totalOf(family.references) / own.length,
        1,
        of === 'captured' ? 0 : 0.02,
        `${of}: keys of ${family.template}`,
      );
    }
    // Sessions come one after the other: in each quarter of the time about as many.
    const births = familyOf(one, 'session:{int}').classes.flatMap((klass) => klass.births);
    for (let quarter = 0; quarter < 4; quarter++) {
      const n = totalOf(births.filter(([bin]) => Math.floor(bin / 8) === quarter));
      near(n / totalOf(births), 0.25, 0.03, `${of}: sessions born in quarter ${quarter}`);
    }
  }
});

test('what the keys of each family hold', async () => {
  const planted: Record<string, (i: number) => string[]> = {
    string: (i) => ['set', `string:${i}`, 'x'.repeat(20)],
    integer: (i) => ['incrby', `integer:${i}`, '3'],
    hash: (i) => ['hset', `hash:${i}`, 'field', 'v'],
    list: (i) => ['lpush', `list:${i}`, 'v'],
    set: (i) => ['sadd', `set:${i}`, 'm'],
    zset: (i) => ['zadd', `zset:${i}`, '1', 'm'],
    stream: (i) => ['xadd', `stream:${i}`, '*', 'f', 'v'],
    hyperloglog: (i) => ['pfadd', `hyperloglog:${i}`, 'v'],
  };
  const kinds = Object.keys(planted);
  const model = await modelOf(evenly(Array.from({ length: 8000 }, (_, i) => planted[kinds[i % 8]!]!(100 + (i % 400)))));
  for (const one of [model, remodel(model)])
    for (const kind of kinds) assert.equal(familyOf(one, `${kind}:{int}`).type, kind);
});

test('elements of collections: how many a key gets, and how many there are, also of sets of ids', async () => {
  const random = mulberry32(12);
  let posts = 0;
  const planted: Record<string, { at: number; args: () => string[] }> = {
    // Each id as likely as the next, so that most are new to their set.
    followers: { at: 2, args: () => ['sadd', '', String(1 + Math.floor(random() * 100_000))] },
    // A few of many, again and again.
    tags: { at: 2, args: () => ['sadd', '', `tag${Math.floor(random() ** 3 * 2000)}`] },
    // Never the same twice.
    feed: { at: 3, args: () => ['zadd', '', '1', `post-${100_000 + posts++}`] },
  };
  const names = Object.keys(planted);
  const commands = Array.from({ length: 24_000 }, (_, i) => {
    const name = names[i % names.length]!;
    return planted[name]!.args().map((arg) => arg || `${name}:${100 + Math.floor(random() * 100)}`);
  });
  const model = await modelOf(evenly(commands));
  const synthesis = new Synthesis(model, { seed: '1', epochSeconds: START_US / 1e6 });
  const slice = synthesis.slice(0, 0, model.source.spanSeconds);
  const synthesized = Array.from({ length: slice.count }, (_, i) =>
    readCommand(slice.bytes, slice.offset[i]!).map((bytes) => Buffer.from(bytes).toString('latin1')),
  );
  for (const name of names) {
    const countsOf = (all: string[][]) => {
      const own = all.filter(([, key]) => key!.startsWith(name));
      const { at } = planted[name]!;
      return {
        inKeys: new Set(own.map((args) => `${args[1]} ${args[at]}`)).size,
        inAll: new Set(own.map((args) => args[at])).size,
      };
    };
    const [truth, found] = [countsOf(commands), countsOf(synthesized)];
    near(found.inKeys / truth.inKeys, 1, 0.1, `${name}: elements in all keys, ratio`);
    near(found.inAll / truth.inAll, 1, 0.15, `different elements of ${name}, ratio`);
  }
});

/** Gaps of arrivals in µs, `rate` per second on average. */
const processes: Record<string, (rate: number) => () => number> = {
  poisson(rate) {
    const random = mulberry32(7);
    return () => (exponential(random) / rate) * 1e6;
  },
  /** Gaps are sums of four exponential ones: half as spread as those of Poisson arrivals. */
  regular(rate) {
    const random = mulberry32(8);
    return () => Array.from({ length: 4 }, () => exponential(random)).reduce((sum, x) => sum + (x / rate / 4) * 1e6, 0);
  },
  /** Two rates, four times as high for a quarter of the time; the states last for 0.1 s and 0.3 s on average. */
  bursty(rate) {
    const random = mulberry32(9);
    const states = [
      { rate: rate / 1.75, seconds: 0.3 },
      { rate: (4 * rate) / 1.75, seconds: 0.1 },
    ];
    let state = 0;
    let left = exponential(random) * states[state]!.seconds;
    return () => {
      for (let passed = 0; ; ) {
        const gap = exponential(random) / states[state]!.rate;
        if (gap < left) {
          left -= gap;
          return (passed + gap) * 1e6;
        }
        passed += left;
        state = 1 - state;
        left = exponential(random) * states[state]!.seconds;
      }
    };
  },
};
const exponential = (random: () => number) => -Math.log(1 - random());

/** Index of dispersion of `rate` arrivals a second over `seconds` by theory. */
const THEORY: Record<string, (rate: number, seconds: number) => number> = {
  poisson: () => 1,
  // Windows of many gaps see the squared coefficient of variation of one.
  regular: (rate, seconds) => (rate * seconds < 50 ? Number.NaN : 1 / 4),
  // 1 + A (1 - (1 - e^(-s w)) / (s w)), A = 2 p (1 - p) (difference of rates)² / (mean rate · s), s = 1 / 0.1 + 1 / 0.3.
  bursty(rate, seconds) {
    const s = 1 / 0.1 + 1 / 0.3;
    const excess = (2 * 0.25 * 0.75 * ((3 * rate) / 1.75) ** 2) / (rate * s);
    return 1 + excess * (1 - (1 - Math.exp(-s * seconds)) / (s * seconds));
  },
};

const WINDOWS = { ms1: 0.001, ms10: 0.01, ms100: 0.1, ms1000: 1 } as const;
/** As many windows tell a variance to 8 % (√(2/n)): 20 % off is no chance. */
const ENOUGH_WINDOWS = 300;
/** Bursts come every 0.4 s: a shorter capture has so few that theory and what happened differ, whatever the window. */
const ENOUGH_SECONDS = 30;

for (const { size, units, rate } of [
  { size: 'few enough to be recorded', units: 40_000, rate: 2000 },
  { size: 'so many that a process stands for them', units: 70_000, rate: 2000 },
  { size: 'for many windows of a second', units: 250_000, rate: 500 },
]) {
  for (const kind of Object.keys(processes)) {
    test(`burstiness of ${kind} arrivals, ${size}, within 20 %`, async () => {
      const nextGap = processes[kind]!(rate);
      let atUs = START_US;
      const lines = Array.from({ length: units }, (_, i): Line => {
        atUs += Math.max(50, nextGap());
        return { atUs, client: `10.0.0.1:${1000 + (i % 50)}`, args: ['get', `k:${i % 1000}`] };
      });
      const model = await modelOf(lines);
      const [stream] = model.clients.streams;
      assert.equal(stream!.recorded === null, units > 65_536);
      const [again] = remodel(model).clients.streams;
      const against = new Set<string>();
      for (const window of Object.keys(WINDOWS) as (keyof typeof WINDOWS)[]) {
        const theory = THEORY[kind]!(rate, WINDOWS[window]);
        const windows = units / rate / WINDOWS[window];
        const [captured, found] = [stream!.dispersion[window], again!.dispersion[window]];
        if (windows >= 30) near(found! / captured!, 1, 0.2, `${window}: ${found} of ${captured}, ratio`);
        else assert.equal(captured, null);
        if (theory > 0 && windows >= ENOUGH_WINDOWS && units / rate >= ENOUGH_SECONDS) {
          near(captured! / theory, 1, 0.2, `${window} captured: ${captured} of ${theory}, ratio`);
          against.add(window);
        }
      }
      assert.equal(against.has('ms1000'), units / rate >= ENOUGH_WINDOWS);
    });
  }
}
