/** Memory rules on planted courses: the phases that a budget names, what must not be compared, and the sentences. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseBudget } from '../../src/compare/budget.ts';
import { judge } from '../../src/compare/judge.ts';
import { explainDifference } from '../../src/compare/memory-explanation.ts';
import { courseFigures } from '../../src/compare/metrics/memory.ts';
import { theilSen } from '../../src/compare/slope.ts';
import { ARMS, type Arm, COURSE_PHASES, type MemoryCourse, type MemorySample } from '../../src/measure/rehearsal.ts';
import { rehearse } from '../support/rehearsal.ts';

const MIB = 2 ** 20;
const HEAD = 'apiVersion: cutover/budget@1\nlatency: off\nstalls: off\nerrors: off\n';
const PHASES = 'rss_per_logical_byte: {max_increase: 5%, floor: 1MiB, phases: [fill, churn, refill]}';

function sample(perByte: number, logicalBytes: number): MemorySample {
  const rssBytes = 10 * MIB + perByte * logicalBytes;
  return {
    rssBytes,
    usedBytes: rssBytes * 0.9,
    allocatedBytes: rssBytes * 0.9,
    activeBytes: rssBytes * 0.95,
    residentBytes: rssBytes * 0.98,
    memFragmentationRatio: 1.1,
    allocatorFragRatio: 1.02,
    logicalBytes,
  };
}

/** RSS per byte in each phase; all but those given are 1.3. */
function course(perByte: Partial<Record<string, number>> = {}, peak = 1.5): MemoryCourse {
  const phases: MemoryCourse['phases'] = {};
  const plannedKeys: MemoryCourse['plannedKeys'] = {};
  for (const phase of COURSE_PHASES) {
    phases[phase] = {
      ...sample(perByte[phase] ?? 1.3, phase === 'start' ? 0 : 64 * MIB),
      keys: phase === 'start' ? 0 : 1000,
    };
    plannedKeys[phase] = phases[phase].keys;
  }
  return {
    ...{ copies: 4, phases, plannedKeys, errors: {} },
    idleRss: [1, 2, 3].map((seconds) => ({ seconds, rssBytes: 90 * MIB })),
    churnRss: [1, 2, 3, 4].map((step) => ({ writtenBytes: step * 16 * MIB, rssBytes: 90 * MIB })),
    save: { seconds: 1, forkUs: 500, copiedBytes: 5 * MIB, rssPeakBytes: 10 * MIB + peak * 64 * MIB },
  };
}

function judged(budget: string, courseOf: (arm: Arm, round: number) => MemoryCourse | undefined, allocator?: string) {
  const { rehearsal, latencyOf } = rehearse(() => ({}));
  for (const [k, { arms }] of rehearsal.rounds.entries()) {
    for (const arm of ARMS) {
      const made = courseOf(arm, k);
      if (made) arms[arm].memoryProtocol = made;
    }
  }
  if (allocator) rehearsal.arms.candidate.allocator = allocator;
  const judgement = judge(rehearsal, latencyOf, parseBudget(HEAD + budget, 'budget.yaml'), 'rehearsals/x');
  const outcomes = Object.fromEntries(judgement.rules.map(({ id, outcome }) => [id.replace('memory.', ''), outcome]));
  return { judgement, outcomes, caveats: judgement.caveats.map(({ id }) => id) };
}

test('the phases that the budget names are judged, and no others', () => {
  const fat = (arm: Arm, round: number) => course(arm === 'candidate' ? { churn: 1.5 + round / 1000, delete: 9 } : {});
  const { outcomes } = judged(`memory: {${PHASES}}\n`, fat);
  assert.deepEqual(outcomes, {
    'rss_per_logical_byte.fill': 'pass',
    'rss_per_logical_byte.churn': 'fail',
    'rss_per_logical_byte.refill': 'pass',
  });
});

test('what was not measured is not judged, and says how to measure it', () => {
  const { outcomes, caveats, judgement } = judged(
    `memory: {${PHASES}, peak_during_save: {max_increase: 5%}}\n`,
    () => undefined,
  );
  assert.deepEqual(outcomes, {
    'rss_per_logical_byte.fill': 'pass',
    'rss_per_logical_byte.churn': 'not-judged',
    'rss_per_logical_byte.refill': 'not-judged',
    peak_during_save: 'not-judged',
  });
  assert.deepEqual(caveats, ['memory-not-sampled']);
  assert.match(judgement.caveats[0]!.message, /--memory-protocol quick/);
});

test('that a cluster has no full protocol is said, also where nothing needs it', () => {
  const { rehearsal, latencyOf } = rehearse(() => ({}));
  const idsWith = (primaries: number | undefined, memory: string) => {
    rehearsal.settings.memoryProtocol = 'full';
    for (const arm of ARMS) {
      if (primaries === undefined) delete rehearsal.arms[arm].primaries;
      else rehearsal.arms[arm].primaries = primaries;
    }
    return judge(rehearsal, latencyOf, parseBudget(`${HEAD}${memory}`, 'b'), 'x').caveats.map(({ id }) => id);
  };
  assert.deepEqual(idsWith(3, 'memory: off\n'), ['memory-protocol-of-cluster']);
  assert.deepEqual(idsWith(3, `memory: {${PHASES}}\n`), ['memory-protocol-of-cluster', 'memory-not-sampled']);
  assert.deepEqual(idsWith(undefined, 'memory: off\n'), []);
});

test('the peak is RSS and copied pages, or what the system says where it says so of both', () => {
  const rule = (courseOf: (arm: Arm) => MemoryCourse) =>
    judged('memory: {peak_during_save: {max_increase: 10%, floor: 1MiB}}\n', courseOf).judgement.rules[0]!;
  const higher = (arm: Arm) => course({}, arm === 'candidate' ? 2 : 1.5);
  assert.equal(rule(higher).outcome, 'fail');
  assert.equal(rule(higher).baseline!.toFixed(3), (1.5 + 5 / 64).toFixed(3));
  const withProcess = (arms: Arm[]) => (arm: Arm) => {
    const made = higher(arm);
    if (arms.includes(arm)) made.save!.processPeakBytes = 10 * MIB + 1.7 * 64 * MIB;
    return made;
  };
  assert.equal(rule(withProcess(['candidate'])).outcome, 'fail');
  assert.equal(rule(withProcess(['baseline', 'candidate'])).outcome, 'pass');
});

test('every phase of the protocol has a figure of each arm, the mean over the rounds that have it', () => {
  const { rehearsal } = rehearse(() => ({}));
  for (const [k, { arms }] of rehearsal.rounds.entries()) {
    if (k >= 2) continue;
    for (const arm of ARMS)
      arms[arm].memoryProtocol = course({ churn: 1.4 + k / 10, delete: arm === 'candidate' ? 3 : 2 });
  }
  const figures = courseFigures(rehearsal.rounds);
  assert.deepEqual(
    figures.map(({ phase }) => phase),
    [...COURSE_PHASES.slice(1), 'peak while saving'],
  );
  const of = (phase: string) => {
    const { baseline, candidate } = figures.find((row) => row.phase === phase)!;
    return [baseline.toFixed(3), candidate.toFixed(3)];
  };
  assert.deepEqual(of('fill'), ['1.300', '1.300']);
  assert.deepEqual(of('churn'), ['1.450', '1.450']);
  assert.deepEqual(of('delete'), ['2.000', '3.000']);
  assert.deepEqual(of('peak while saving'), ['1.578', '1.578']);
  assert.deepEqual(courseFigures(rehearse(() => ({})).rehearsal.rounds), []);
});

test('a server that lost keys or refused some is not judged', () => {
  for (const spoil of [
    (made: MemoryCourse) => made.phases.refill!.keys--,
    (made: MemoryCourse) => (made.errors = { OOM: 3 }),
  ]) {
    const { outcomes, caveats } = judged(`memory: {${PHASES}}\n`, (arm, round) => {
      const made = course();
      if (arm === 'candidate' && round === 2) spoil(made);
      return made;
    });
    assert.equal(outcomes['rss_per_logical_byte.refill'], 'not-judged');
    assert.deepEqual(caveats, ['memory-not-exact']);
  }
});

test('other allocators, by name or by build, are not compared unless the budget says why', () => {
  const { outcomes, caveats } = judged(`memory: {${PHASES}}\n`, () => course(), 'libc');
  assert.deepEqual(new Set(Object.values(outcomes)), new Set(['not-judged']));
  assert.deepEqual(caveats, ['allocators-differ']);
  const because = `memory: {${PHASES}, allocators_differ_because: "production has both"}\n`;
  const allowed = judged(because, () => course(), 'libc');
  assert.deepEqual(new Set(Object.values(allowed.outcomes)), new Set(['pass']));
  assert.match(allowed.judgement.caveats[0]!.advice, /"production has both"/);

  const { rehearsal, latencyOf } = rehearse(() => ({}));
  for (const { arms } of rehearsal.rounds) {
    arms.baseline.canDefragment = true;
    arms.candidate.canDefragment = false;
  }
  const built = judge(
    rehearsal,
    latencyOf,
    parseBudget(`${HEAD}memory: {rss_per_logical_byte: {max_increase: 5%}}\n`, 'b'),
    'x',
  );
  assert.deepEqual(
    built.caveats.map(({ id }) => id),
    ['allocators-differ'],
  );
  assert.match(built.caveats[0]!.message, /built differently .*with active defragmentation.*without/);
});

test('growth under churn, and what deletion leaves, are said with an interval', () => {
  const growing = (arm: Arm, round: number) => {
    const made = course();
    if (arm === 'candidate') {
      for (const point of made.churnRss) point.rssBytes += point.writtenBytes * (0.5 + round / 1000);
    }
    return made;
  };
  const { judgement } = judged(`memory: {${PHASES}}\n`, growing);
  const noteOf = (phase: string) => judgement.rules.find(({ id }) => id.endsWith(phase))!.note!;
  assert.match(
    noteOf('churn'),
    /baseline 0 % \[0 %, 0 %\], candidate 50 % \[50 %, 50 %\]; while idle: baseline 0 B\/s/,
  );
  assert.match(
    noteOf('refill'),
    /half of the keys were deleted: baseline .* MiB, 0 B of it given back by MEMORY PURGE/,
  );
});

test('the parts of a difference add up to it', () => {
  const logicalBytes = 100 * MIB;
  const candidate = { ...sample(1.3, logicalBytes) };
  candidate.rssBytes += 10 * MIB;
  candidate.residentBytes += 10 * MIB;
  candidate.activeBytes += 30 * MIB;
  Object.assign(candidate, { datasetBytes: 0.4 * MIB, overheadBytes: 3 * MIB, clientBytes: 2 * MIB });
  const { rehearsal } = rehearse(() => ({}), { rounds: 1 });
  const of = (arm: Arm) => ({
    start: sample(0, 0),
    sample: arm === 'baseline' ? sample(1.3, logicalBytes) : candidate,
  });
  assert.equal(
    explainDifference(rehearsal.rounds, (_, arm) => of(arm)),
    'per byte of data the candidate holds 0.10 bytes more: fragmentation +0.30, kept by the allocator −0.20; inside used_memory: overhead +3.00 MiB, clients +2.00 MiB',
  );
  assert.equal(
    explainDifference(rehearsal.rounds, () => of('baseline')),
    undefined,
  );
});

test('Theil and Sen: the slope of a line, whatever a quarter of its points say', () => {
  const slope = fc.double({ min: -100, max: 100, noNaN: true });
  fc.assert(
    fc.property(slope, slope, fc.integer({ min: 0, max: 15 }), slope, (a, b, at, error) => {
      const points = Array.from({ length: 16 }, (_, x) => ({ x, y: a * x + b }));
      points[at]!.y += 1e4 * error;
      assert.ok(Math.abs(theilSen(points)! - a) < 1e-6 * (1 + Math.abs(a)));
    }),
  );
  assert.equal(theilSen([]), undefined);
  assert.equal(
    theilSen([
      { x: 1, y: 1 },
      { x: 1, y: 2 },
    ]),
    undefined,
  );
});
