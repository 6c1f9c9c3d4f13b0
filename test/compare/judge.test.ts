/** Verdicts on synthetic rehearsals: what is planted is found and named, what spoils a measurement is not called a result. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Budget, parseBudget } from '../../src/compare/budget.ts';
import { judge } from '../../src/compare/judge.ts';
import type { Judgement } from '../../src/compare/judgement.ts';
import { type Behaviour, normal, rehearse, type Synthetic } from '../support/rehearsal.ts';

const HEAD = 'apiVersion: cutover/budget@1\n';
const DEFAULTS = parseBudget(HEAD, 'default');
const budgetOf = (text: string) => parseBudget(HEAD + text, 'budget.yaml');
const judged = ({ rehearsal, latencyOf }: Synthetic, budget: Budget = DEFAULTS) =>
  judge(rehearsal, latencyOf, budget, 'rehearsals/x');
const onCandidate =
  (behave: Behaviour): Behaviour =>
  (round, arm) =>
    arm === 'candidate' ? behave(round, arm) : {};
const ruleOf = (judgement: Judgement, id: string) => {
  const rule = judgement.rules.find((one) => one.id === id);
  assert.ok(rule, `no rule ${id} among ${judgement.rules.map((one) => one.id)}`);
  return rule;
};
const caveatIds = ({ caveats }: Judgement) => caveats.map(({ id }) => id);
const equal = () => ({});

test('equal arms pass, every rule judged, exit 0', () => {
  const judgement = judged(rehearse(equal));
  assert.equal(judgement.verdict, 'pass');
  assert.equal(judgement.exitCode, 0);
  assert.deepEqual(
    judgement.rules.map(({ id, outcome }) => [id, outcome]),
    [
      ['latency.p99', 'pass'],
      ['latency.p99.9', 'pass'],
      ['stalls.rate', 'pass'],
      ['memory.rss_per_logical_byte.fill', 'pass'],
      ['memory.rss_per_logical_byte.end', 'pass'],
      ['errors.new_prefixes', 'pass'],
      ['errors.rate', 'pass'],
    ],
  );
  assert.deepEqual(judgement.caveats, []);
  assert.match(judgement.sentence, /^PASS: 7 rules inside the budget over 5 rounds/);
});

test('noisy equal arms are never failed', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const gauss = normal(seed);
    const factors = Array.from({ length: 10 }, () => Math.exp(0.15 * gauss()));
    const noisy = rehearse((round, arm) => ({
      ops: 10_000,
      serviceUs: 2000 * factors[round * 2 + (arm === 'baseline' ? 0 : 1)]!,
    }));
    assert.notEqual(judged(noisy).verdict, 'fail', `seed ${seed}`);
  }
});

test('a longer tail fails P99.9 with its figures', () => {
  const judgement = judged(rehearse(onCandidate((round) => ({ tail: 8 + round / 10 }))));
  assert.equal(judgement.verdict, 'fail');
  assert.equal(judgement.exitCode, 1);
  const { outcome, change, allowed, baseline, candidate, samples, rounds } = ruleOf(judgement, 'latency.p99.9');
  assert.equal(outcome, 'fail');
  // Response = 400 µs · tail + 20 µs of lag: 2020 µs against 400 · 8.2 + 20 = 3300 µs.
  assert.ok(Math.abs(change.estimate! - (candidate! / baseline! - 1)) < 1e-9);
  assert.ok(change.estimate! > 0.6 && change.estimate! < 0.66, String(change.estimate));
  assert.ok(change.low! < change.estimate! && change.estimate! < change.high!);
  assert.deepEqual([allowed!.toFixed(6), samples, rounds], ['0.250000', 120_000, 5]);
  assert.match(
    judgement.sentence,
    /^FAIL: P99\.9 rose by 6\d % \[\d+ %, \d+ %\] where 25 % is allowed \(all families, 5 rounds\)/,
  );
});

test('a big relative rise of a few microseconds is under the floor', () => {
  const judgement = judged(rehearse((_, arm) => ({ serviceUs: arm === 'candidate' ? 16 : 8, lagUs: 1 })));
  assert.equal(judgement.verdict, 'pass');
  assert.ok(ruleOf(judgement, 'latency.p99').change.estimate! > 0.5);
  assert.ok(ruleOf(judgement, 'latency.p99').allowed! > 2);
});

test('too few samples for P99.9 step down, with the numbers', () => {
  const judgement = judged(rehearse(() => ({ ops: 4600 })));
  assert.equal(judgement.verdict, 'pass');
  const rule = ruleOf(judgement, 'latency.p99.9');
  assert.equal(rule.label, 'P99.9 as P99.5');
  assert.equal(rule.note, 'P99.9 needs 20,000 samples a round, has 9,200: judged P99.5');
  const caveat = judgement.caveats.find(({ id }) => id === 'percentile-stepped-down');
  assert.deepEqual(caveat?.numbers, { asked: 99.9, judged: 99.5, needed: 20_000, measured: 9200 });
});

test('a total of 100 samples beyond the percentile is needed too', () => {
  // 24,000 a round are 24 beyond P99.9, but in three rounds 72.
  const judgement = judged(rehearse(equal, { rounds: 3 }));
  assert.equal(ruleOf(judgement, 'latency.p99.9').label, 'P99.9 as P99.5');
  assert.match(ruleOf(judgement, 'latency.p99.9').note!, /needs 33,334 samples a round, has 24,000/);
});

test('where not even P95 can be defended the answer is inconclusive', () => {
  const judgement = judged(rehearse(() => ({ ops: 100 })));
  assert.equal(judgement.verdict, 'inconclusive');
  assert.equal(ruleOf(judgement, 'latency.p99').inconclusive?.cause, 'too-few-samples');
  assert.match(judgement.sentence, /P99 needs 2,000 samples a round, has 200/);
});

test('noise is called noise, with the rounds that would tell', () => {
  const judgement = judged(rehearse(onCandidate((round) => ({ tail: [3, 9, 4, 10, 5][round]! }))));
  assert.equal(judgement.verdict, 'inconclusive');
  assert.equal(judgement.exitCode, 4);
  const { inconclusive } = ruleOf(judgement, 'latency.p99.9');
  assert.equal(inconclusive?.cause, 'noise');
  assert.ok(inconclusive.roundsNeeded! > 5);
  assert.match(judgement.sentence, /too noisy to tell; about \d+ rounds \(\d+ more minutes?\) would decide/);
});

test('one round cannot give an interval, nor fail', () => {
  const judgement = judged(
    rehearse(
      onCandidate(() => ({ tail: 50, errors: { 'session:{id} get': { ERR: 500 } } })),
      { rounds: 1 },
    ),
  );
  assert.equal(judgement.verdict, 'inconclusive');
  assert.match(judgement.sentence, /one round cannot give an interval/);
  assert.equal(ruleOf(judgement, 'latency.p99').change.low, null);
});

test('families: an objective judges its own, warn decides nothing, a glob without a family is not green', () => {
  const families = ['session:{id}', 'feed:{id}'];
  const slow = rehearse((_, arm) => ({ families, serviceUs: arm === 'candidate' ? 480 : 400 }));
  const strict =
    'latency: {p99: {max_increase: 30%}}\nobjectives: [{family: "feed:*", LEVEL latency: {p99: {max_increase: 5%, floor: 1us}}}]\n';
  const failing = judged(slow, budgetOf(strict.replace('LEVEL', '')));
  assert.equal(failing.verdict, 'fail');
  assert.equal(ruleOf(failing, 'latency.p99/feed:*').outcome, 'fail');
  assert.equal(ruleOf(failing, 'latency.p99/feed:*').samples, 120_000);
  assert.match(failing.sentence, /family "feed:\*"/);
  const warned = judged(slow, budgetOf(strict.replace('LEVEL', 'level: warn,')));
  assert.equal(warned.verdict, 'pass');
  assert.equal(ruleOf(warned, 'latency.p99/feed:*').outcome, 'fail');
  const missing = judged(slow, budgetOf('objectives: [{family: "fed:*"}]\n'));
  assert.equal(missing.verdict, 'inconclusive');
  assert.match(
    missing.sentence,
    /no request of family "fed:\*" was answered; families here: "session:{id}", "feed:{id}"/,
  );
});

test('memory: more RSS per byte fails, differing allocators and foreign servers are not judged', () => {
  const fat = rehearse(onCandidate((round) => ({ rssPerByte: 1.6 + round / 1000 })));
  const judgement = judged(fat);
  assert.equal(ruleOf(judgement, 'memory.rss_per_logical_byte.fill').outcome, 'fail');
  assert.match(judgement.sentence, /RSS\/byte, (fill|end) rose by 23 %/);

  fat.rehearsal.arms.candidate.allocator = 'libc';
  const unequal = judged(fat);
  assert.equal(unequal.verdict, 'pass');
  assert.equal(ruleOf(unequal, 'memory.rss_per_logical_byte.end').outcome, 'not-judged');
  assert.deepEqual(caveatIds(unequal), ['allocators-differ']);
  assert.match(unequal.sentence, /not judged: memory$/);

  fat.rehearsal.arms.baseline.provider = 'url';
  assert.deepEqual(caveatIds(judged(fat)), ['allocators-differ', 'memory-of-foreign-server']);
  // Nothing is judged of memory: the difference is said all the same.
  assert.deepEqual(caveatIds(judged(fat, budgetOf('memory: off\n'))), ['allocators-differ']);
});

test('memory: a dataset that RSS does not show, and samples that are missing, are said', () => {
  const flat = rehearse(equal);
  for (const { arms } of flat.rehearsal.rounds) arms.candidate.memory.fill!.rssBytes = 1;
  assert.deepEqual(caveatIds(judged(flat)), ['dataset-too-small']);
  // A round without samples leaves the others; without any there is nothing to judge.
  delete flat.rehearsal.rounds[2]!.arms.baseline.memory.end;
  assert.equal(ruleOf(judged(flat), 'memory.rss_per_logical_byte.end').rounds, 4);
  for (const { arms } of flat.rehearsal.rounds) delete arms.baseline.memory.end;
  assert.deepEqual(caveatIds(judged(flat)), ['dataset-too-small', 'memory-not-sampled']);
  for (const { arms } of flat.rehearsal.rounds) arms.candidate.memory.end!.logicalBytes = 0;
  assert.equal(judged(flat).memory.candidate!.rssPerLogicalByte, undefined, 'nothing was preloaded');
});

test('memory: a difference below the floor in bytes passes', () => {
  const small = rehearse((_, arm) => ({ rssPerByte: arm === 'candidate' ? 1.3 : 1 }));
  assert.equal(judged(small).verdict, 'fail');
  assert.equal(
    judged(small, budgetOf('memory: {rss_per_logical_byte: {max_increase: 1%, floor: 100MiB}}\n')).verdict,
    'pass',
  );
});

test('a command that only the candidate refuses fails, however rare, and is named', () => {
  const judgement = judged(rehearse(onCandidate(() => ({ errors: { 'feed:{id} getex': { ERR: 2 } } }))));
  assert.equal(judgement.verdict, 'fail');
  const rule = ruleOf(judgement, 'errors.new_prefixes');
  assert.equal(rule.outcome, 'fail');
  assert.match(judgement.sentence, /error ERR 20 times \(baseline 0\) in 5 of 5 rounds, from getex of "feed:{id}"/);
});

test('a prefix that the baseline answers to another command is new where the candidate alone answers it', () => {
  const judgement = judged(
    rehearse((_, arm) => ({
      calls: { 'feed:{id} getex': 40 },
      errors: {
        'session:{id} get': { ERR: 5 },
        ...(arm === 'candidate' ? { 'feed:{id} getex': { ERR: 40 } } : {}),
      },
    })),
  );
  assert.equal(ruleOf(judgement, 'errors.new_prefixes').outcome, 'fail');
  assert.match(ruleOf(judgement, 'errors.new_prefixes').note!, /getex of "feed/);
  assert.ok(caveatIds(judgement).includes('workload-errors'));
});

test('errors of the preload alone are found too', () => {
  const synthetic = rehearse(equal);
  for (const { arms } of synthetic.rehearsal.rounds) arms.candidate.preload.errors = { OOM: 50 };
  assert.match(ruleOf(judged(synthetic), 'errors.new_prefixes').note!, /error OOM 250 times .*, from \(preload\)/);
  assert.equal(judged(synthetic).verdict, 'fail');
});

test('one stray error, or one burst in one round, is neither passed nor failed', () => {
  for (const burst of [1, 5000]) {
    const judgement = judged(
      rehearse(onCandidate((round) => (round === 2 ? { errors: { 'session:{id} get': { LOADING: burst } } } : {}))),
    );
    assert.equal(judgement.verdict, 'inconclusive', `${burst} errors`);
    const { inconclusive } = ruleOf(judgement, 'errors.new_prefixes');
    assert.match(inconclusive!.message, /too rarely/);
    assert.ok(inconclusive!.roundsNeeded! > 5);
  }
});

test('errors that both servers answer are a caveat, not a difference', () => {
  const judgement = judged(rehearse(() => ({ errors: { 'session:{id} get': { WRONGTYPE: 600 } } })));
  assert.equal(judgement.verdict, 'pass');
  const caveat = judgement.caveats.find(({ id }) => id === 'workload-errors')!;
  assert.match(caveat.message, /, 5 % of the requests: error WRONGTYPE 6,000 times .* from get of "session/);
});

test('random errors scattered over many commands of both arms are no news', () => {
  const next = normal(3);
  for (let run = 0; run < 20; run++) {
    const scattered = rehearse(() => ({
      ops: 2000,
      errors: Object.fromEntries(
        Array.from({ length: 30 }, (_, i) => [`f${i} get`, Math.abs(next()) > 1 ? { WRONGTYPE: 1 } : {}]),
      ),
    }));
    assert.notEqual(ruleOf(judged(scattered), 'errors.new_prefixes').outcome, 'fail');
    assert.notEqual(ruleOf(judged(scattered), 'errors.rate').outcome, 'fail');
  }
});

test('a known error that becomes frequent fails the rate, over all or in one command', () => {
  const all = judged(
    rehearse((round, arm) => ({ errors: { 'session:{id} get': { OOM: arm === 'candidate' ? 600 + round : 10 } } })),
  );
  assert.equal(ruleOf(all, 'errors.rate').outcome, 'fail');
  // 32 of 40,000 requests are within 0.1 % of all, but most of this command.
  const rare = judged(
    rehearse((round, arm) => ({
      ops: 40_000,
      calls: { 'rare:{id} get': 50 },
      errors: { 'rare:{id} get': { OOM: arm === 'candidate' ? 30 + round : 1 } },
    })),
  );
  assert.match(ruleOf(rare, 'errors.rate').note!, /from get of "rare:{id}"/);
  assert.equal(ruleOf(rare, 'errors.rate').outcome, 'fail');
});

test('lost replies on the candidate fail', () => {
  const judgement = judged(rehearse(onCandidate(() => ({ lost: 40 }))));
  assert.equal(judgement.verdict, 'fail');
  assert.match(ruleOf(judgement, 'errors.new_prefixes').note!, /no reply 400 times/);
});

test('no errors in few requests leave the rate open', () => {
  const few = judged(rehearse(() => ({ ops: 200 })));
  assert.equal(ruleOf(few, 'errors.rate').outcome, 'inconclusive');
  assert.equal(ruleOf(few, 'errors.rate').inconclusive?.cause, 'too-few-samples');
});

test('lag that explains a rise makes it inconclusive; a rise in service time stands', () => {
  const lagging = judged(rehearse((_, arm) => ({ lagUs: arm === 'candidate' ? 9000 : 100 })));
  assert.equal(lagging.verdict, 'inconclusive');
  assert.equal(ruleOf(lagging, 'latency.p99.9').inconclusive?.cause, 'generator');
  assert.ok(caveatIds(lagging).includes('generator-lag'));
  const slow = judged(rehearse((_, arm) => (arm === 'candidate' ? { lagUs: 30_000, tail: 40 } : {})));
  assert.equal(slow.verdict, 'fail');
});

test('what holds of several rules at one percentile is said once', () => {
  const { caveats } = judged(rehearse(() => ({ ops: 300, lagUs: 20_000 })));
  const said = caveats.filter(({ id }) => id === 'generator-lag').map(({ message }) => message);
  assert.ok(said.length > 0);
  assert.deepEqual(said, [...new Set(said)]);
});

test('lag that drowns both arms hides a rise: no pass', () => {
  const judgement = judged(rehearse((_, arm) => ({ lagUs: 20_000, tail: arm === 'candidate' ? 8 : 5 })));
  assert.equal(judgement.verdict, 'inconclusive');
  assert.match(
    ruleOf(judgement, 'latency.p99.9').inconclusive!.message,
    /may hide a rise: service time alone is a fail/,
  );
});

test('a generator that cannot keep the rate makes the run invalid; one round of five is left out', () => {
  const behind = (from: number) => judged(rehearse((round) => ({ achieved: round >= from ? 0.95 : 1 })));
  const invalid = behind(3);
  assert.equal(invalid.verdict, 'invalid');
  assert.equal(invalid.exitCode, 5);
  assert.match(
    invalid.sentence,
    /^INVALID: 2 of 5 rounds spoiled: the generator sent the baseline 95 % of the planned rate in round 4$/,
  );
  const one = behind(4);
  assert.deepEqual([one.verdict, one.rounds.judged], ['pass', 4]);
  assert.ok(caveatIds(one).includes('rounds-spoiled'));
});

test('a rate that only the candidate does not get is its own: judged, failed if slow, never passed', () => {
  const saturated = judged(rehearse(onCandidate(() => ({ achieved: 0.9, tail: 40 }))));
  assert.equal(saturated.verdict, 'fail');
  const odd = judged(rehearse(onCandidate(() => ({ achieved: 0.9 }))));
  assert.equal(odd.verdict, 'inconclusive');
  assert.match(odd.sentence, /the candidate got as little as 90 % of the planned rate in 5 of 5 rounds/);
});

test('a round that was declared invalid is not judged', () => {
  const synthetic = rehearse(onCandidate((round) => (round === 1 ? { tail: 400 } : {})));
  synthetic.rehearsal.rounds[1]!.invalid = 'the host was suspended';
  const judgement = judged(synthetic);
  assert.deepEqual([judgement.verdict, judgement.rounds], ['pass', { planned: 5, judged: 4 }]);
});

test('configuration: different work is invalid, other defaults are a caveat, one-sided settings are neither', () => {
  const synthetic = rehearse(equal);
  const verdictWith = (name: string, baseline: string | undefined, candidate: string | undefined) => {
    synthetic.rehearsal.configDifferences = [{ name, baseline, candidate }];
    const judgement = judged(synthetic);
    return [judgement.verdict, ...caveatIds(judgement)];
  };
  assert.deepEqual(verdictWith('maxmemory', '0', '104857600'), ['invalid', 'configuration-differs']);
  assert.deepEqual(verdictWith('appendonly', 'no', 'yes'), ['invalid', 'configuration-differs']);
  assert.deepEqual(verdictWith('io-threads', '1', '4'), ['pass', 'defaults-differ']);
  assert.deepEqual(verdictWith('hash-max-listpack-entries', '128', '512'), ['pass', 'defaults-differ']);
  assert.deepEqual(verdictWith('io-threads', undefined, '4'), ['pass']);
  assert.deepEqual(verdictWith('proc-title-template', 'a', 'b'), ['pass']);
});

test('a stopped run is judged on its complete rounds and cannot pass', () => {
  const stopped = { reason: 'interrupted', message: 'interrupted by Ctrl-C' } as const;
  const cut = (behave: Behaviour) => {
    const synthetic = rehearse(behave, { overrides: { stopped } });
    synthetic.rehearsal.rounds[4]!.arms.candidate.slices[1]!.unsent = 5000;
    synthetic.rehearsal.rounds[4]!.arms.candidate.slices[1]!.generator.achievedRate = 100;
    return judged(synthetic);
  };
  const equalSoFar = cut(equal);
  assert.equal(equalSoFar.verdict, 'inconclusive');
  assert.equal(equalSoFar.rounds.judged, 4);
  assert.match(equalSoFar.sentence, /^INCONCLUSIVE: the run was stopped after 4 of 5 rounds \(interrupted by Ctrl-C\)/);
  assert.equal(cut(onCandidate(() => ({ tail: 50 }))).verdict, 'fail');
});

test('a killed run has no end and cannot pass; one without a complete round says so', () => {
  const killed = rehearse(equal);
  delete killed.rehearsal.finishedAt;
  killed.rehearsal.rounds[4]!.arms.candidate.slices.pop();
  assert.match(judged(killed).sentence, /stopped after 4 of 5 rounds \(it has no end: still going on, or killed\)/);
  killed.rehearsal.rounds = [];
  const nothing = judged(killed);
  assert.deepEqual([nothing.verdict, nothing.rules], ['inconclusive', []]);
});

test('Holm: one of many rules just over its limit is not enough', () => {
  // Alone p ≈ 0.03 fails; beside the errors' and the memory's rules it does not.
  const slightly = rehearse(onCandidate((round) => ({ tail: 6.3 + [0, 0.9, 0.2, 1.1, 0.3][round]! })));
  const alone = judged(
    slightly,
    budgetOf('latency: {p99.9: {max_increase: 25%}}\nstalls: off\nmemory: off\nerrors: off\n'),
  );
  assert.equal(alone.verdict, 'fail');
  const among = judged(slightly, budgetOf('latency: {p99.9: {max_increase: 25%}}\n'));
  assert.ok(ruleOf(among, 'latency.p99.9').pFail! > 0.01 && ruleOf(among, 'latency.p99.9').pFail! < 0.05);
  assert.equal(ruleOf(among, 'latency.p99.9').inconclusive?.cause, 'correction');
  assert.equal(among.verdict, 'inconclusive');
});

test('a budget that judges nothing is not green', () => {
  const nothing = judged(rehearse(equal), budgetOf('latency: off\nstalls: off\nmemory: off\nerrors: off\n'));
  assert.equal(nothing.verdict, 'inconclusive');
  assert.match(nothing.sentence, /no rule of the budget could be judged/);
});

test('a judgement is the same again and survives JSON', () => {
  const synthetic = rehearse(onCandidate(() => ({ tail: 9 })));
  assert.deepEqual(judged(synthetic), judged(synthetic));
  const judgement = judged(synthetic);
  assert.deepEqual(JSON.parse(JSON.stringify(judgement)), judgement);
});

test('stalls: many more fail, a few prove nothing and are shown, none are bounded', () => {
  // Two slices a round: 60 against 10.
  const judgement = judged(rehearse((_, arm) => ({ stalls: arm === 'candidate' ? 6 : 1 })));
  const rule = ruleOf(judgement, 'stalls.rate');
  assert.deepEqual(
    [judgement.verdict, rule.outcome, rule.label, rule.samples],
    ['fail', 'fail', 'stalls > 5.00 ms', 70],
  );
  assert.ok(Math.abs(rule.change.estimate! - 5) < 1e-9);
  assert.match(judgement.sentence, /^FAIL: stalls > 5\.00 ms rose by 500 % \[\d+ %, \d+ %\] where 100 % is allowed/);
  assert.match(rule.note!, /^60 stalls \(baseline 10\), 360 s an hour \(baseline 60\.0 s\)$/);

  const few = judged(rehearse((round) => ({ stalls: round === 0 ? 1 : 0 })));
  assert.deepEqual([few.verdict, ruleOf(few, 'stalls.rate').outcome], ['pass', 'not-judged']);
  assert.match(few.sentence, /; not judged: stalls$/);
  assert.match(ruleOf(few, 'stalls.rate').note!, /^not judged: 2 stalls \(baseline 2\)/);

  const none = ruleOf(judged(rehearse(equal)), 'stalls.rate');
  assert.match(none.note!, /^no stall in 30\.0 s \(baseline 0\): fewer than 359 an hour$/);
});

test('stalls: a lopsided few are not passed over', () => {
  const judgement = judged(rehearse((round, arm) => ({ stalls: arm === 'candidate' && round < 2 ? 1 : 0 })));
  assert.deepEqual([judgement.verdict, ruleOf(judgement, 'stalls.rate').outcome], ['inconclusive', 'inconclusive']);
  assert.ok(ruleOf(judgement, 'stalls.rate').inconclusive!.roundsNeeded! > 5);
});

test('stalls: those in which the generator stood still are nobody’s, unless they come with one arm', () => {
  const frozen = (stalls: Behaviour) => {
    const synthetic = rehearse(stalls);
    for (const { arms } of synthetic.rehearsal.rounds) {
      for (const arm of ['baseline', 'candidate'] as const) {
        for (const slice of arms[arm].slices) for (const stall of slice.stalls!) stall.lagUs = 48_000;
      }
    }
    return synthetic;
  };
  const both = judged(frozen(() => ({ stalls: 4 })));
  assert.deepEqual([both.verdict, ruleOf(both, 'stalls.rate').candidate], ['pass', 0]);
  assert.deepEqual(both.caveats.find(({ id }) => id === 'standstills-of-generator')?.numbers, {
    baseline: 40,
    candidate: 40,
  });
  const one = judged(frozen(onCandidate(() => ({ stalls: 4 }))));
  assert.equal(ruleOf(one, 'stalls.rate').inconclusive?.cause, 'generator');
  assert.match(
    one.sentence,
    /stood still 40 times with the candidate \(baseline 0\): the candidate seems to take its cores/,
  );
});

test('stalls: a run that did not look for them is not judged', () => {
  const old = rehearse(equal);
  delete old.rehearsal.rounds[0]!.arms.baseline.slices[0]!.stalls;
  assert.equal(ruleOf(judged(old), 'stalls.rate').outcome, 'not-judged');
});

test('stalls: on a slow server ten medians, and where slices are full of them the shortest that is kept', () => {
  const slow = judged(rehearse((_, arm) => ({ serviceUs: 3000, stalls: arm === 'candidate' ? 4 : 1 })));
  assert.equal(ruleOf(slow, 'stalls.rate').label, 'stalls > 30.2 ms');
  const full = rehearse(equal);
  for (const { arms } of full.rehearsal.rounds) {
    for (const arm of ['baseline', 'candidate'] as const) {
      arms[arm].slices[0]!.stalls = Array.from({ length: 200 }, (_, i) => ({
        ...{ startUs: i * 10_000, durationUs: 8000 + i, waitUs: 8000 + i, lagUs: 0 },
      }));
    }
  }
  assert.equal(ruleOf(judged(full), 'stalls.rate').label, 'stalls > 8.00 ms');
});

test('a pass says whether it is better or worse inside the budget, and what this host could have found', () => {
  const [better, worse] = [0.8, 1.1].map((factor) =>
    ruleOf(judged(rehearse(onCandidate((round) => ({ serviceUs: (400 + round) * factor })))), 'latency.p99'),
  );
  assert.deepEqual([better!.outcome, better!.badge], ['pass', 'improved']);
  assert.deepEqual([worse!.outcome, worse!.badge], ['pass', 'regressed']);
  assert.ok(better!.resolvable! > 0 && better!.resolvable! < 0.2);
  assert.equal(ruleOf(judged(rehearse((round) => ({ serviceUs: 400 + round }))), 'latency.p99').badge, undefined);
});

test('advisory rules fail by false discovery rate, and never decide', () => {
  const families = Array.from({ length: 8 }, (_, i) => `f${i}`);
  const objectives = families.map((family) => `{family: ${family}, level: warn}`).join(', ');
  const budget = budgetOf(`latency: {p99: {max_increase: 5%, floor: 1us}}\nobjectives: [${objectives}]\n`);
  // Just over the limit, p ≈ 0.04: alone it is called worse, among eight that are fine it is not.
  const slightly = (round: number) => 400 * [1.12, 1.06, 1.15, 1.045, 1.13][round]!;
  const { rehearsal, latencyOf } = rehearse(() => ({ families }));
  const worse = rehearse((round) => ({ families, serviceUs: slightly(round) }));
  const one: typeof latencyOf = (round, arm, slice) =>
    latencyOf(round, arm, slice).map((entry, i) =>
      i === 0 && arm === 'candidate' ? worse.latencyOf(round, arm, slice)[0]! : entry,
    );
  const judgement = judge(rehearsal, one, budget, 'x');
  const rule = ruleOf(judgement, 'latency.p99/f0');
  assert.ok(rule.pFail! > 0.1 / 8 && rule.pFail! < 0.05, String(rule.pFail));
  assert.deepEqual([rule.outcome, rule.inconclusive?.cause], ['inconclusive', 'correction']);
  const clear = rehearse(() => ({ families, serviceUs: 520 }));
  const both: typeof latencyOf = (round, arm, slice) =>
    (arm === 'candidate' ? clear : { latencyOf }).latencyOf(round, arm, slice);
  assert.equal(ruleOf(judge(rehearsal, both, budget, 'x'), 'latency.p99/f3').outcome, 'fail');
});

test('what spoils a slice spoils its round, by name', () => {
  const freeze = (rounds: number[]) => {
    const synthetic = rehearse(equal);
    for (const round of rounds)
      synthetic.rehearsal.rounds[round]!.arms.candidate.slices[1]!.generator.eventLoopDelayUs.max = 120_000;
    return judged(synthetic);
  };
  assert.deepEqual([freeze([2]).verdict, freeze([2]).rounds.judged], ['pass', 4]);
  assert.match(
    freeze([2, 3]).sentence,
    /^INVALID: 2 of 5 rounds spoiled: the generator stood still for 120 ms of 3\.0 s in slice 4 of round 3 \(candidate\)$/,
  );
});

test('priorities that differ between the arms are invalid; unknown ones are not', () => {
  const with_ = (set: (arms: Synthetic['rehearsal']['rounds'][number]['arms']) => void) => {
    const synthetic = rehearse(equal);
    for (const { arms } of synthetic.rehearsal.rounds) set(arms);
    return judged(synthetic);
  };
  const servers = with_((arms) => {
    arms.baseline.serverPriority = 'normal';
    arms.candidate.serverPriority = 'realtime';
  });
  assert.match(
    servers.sentence,
    /^INVALID: the server ran at different priorities: normal with the baseline, realtime/,
  );
  const generators = with_(({ baseline, candidate }) => {
    for (const { generator } of baseline.slices) generator.priority = 'realtime';
    for (const { generator } of candidate.slices) generator.priority = 'normal';
  });
  assert.match(generators.sentence, /^INVALID: the generator ran at different priorities/);
  assert.equal(with_((arms) => Object.assign(arms.baseline, { serverPriority: 'normal' })).verdict, 'pass');
});

test('steal is told with its shares', () => {
  const synthetic = rehearse(equal);
  for (const { arms } of synthetic.rehearsal.rounds) {
    for (const slice of arms.candidate.slices)
      slice.host = { jitterUs: { p50: 1, p99: 1, p999: 1, max: 1 }, stealShare: 0.02, throttledMs: 0 };
  }
  const judgement = judged(synthetic);
  assert.deepEqual([judgement.verdict, caveatIds(judgement)], ['pass', ['steal']]);
  assert.match(judgement.caveats[0]!.message, /0 % while the baseline was measured, 2 % while the candidate was$/);
});

test('back-pressure on either arm cannot pass', () => {
  const synthetic = rehearse(equal);
  for (const { arms } of synthetic.rehearsal.rounds) for (const slice of arms.baseline.slices) slice.heldByCap = 240;
  const judgement = judged(synthetic);
  assert.equal(judgement.verdict, 'inconclusive');
  assert.match(judgement.sentence, /back-pressure held back 2 % of the baseline's requests and 0 % of the candidate's/);
});

test('lag that is little beside the service cannot hide or make a difference; a moderate one must not be contradicted', () => {
  // Service regresses by 60 %, response by 38 % of which the lag of both arms dilutes: service time says fail.
  const diluted = judged(
    rehearse((round, arm) => ({ lagUs: 900 + round, tail: 5, serviceUs: arm === 'candidate' ? 510 : 400 })),
    budgetOf('latency: {p99.9: {max_increase: 22%}}\n'),
  );
  const rule = ruleOf(diluted, 'latency.p99.9');
  assert.ok(rule.change.high! < 0.22);
  assert.equal(rule.inconclusive?.cause, 'generator');
  assert.match(rule.inconclusive.message, /may hide a rise: service time alone is a fail/);
});

test('a floor that makes much of the tail is told', () => {
  const synthetic = rehearse(equal);
  const quantiles = (p999: number) => ({ p50: 50, p99: 100, p999, max: 5000 });
  synthetic.rehearsal.floor = { ops: 1000, responseUs: quantiles(1500), lagUs: quantiles(100), keepsDoubleRate: true };
  const caveat = judged(synthetic).caveats.find(({ id }) => id === 'noise-floor');
  assert.equal(caveat?.numbers?.floorUs, 1500);
  synthetic.rehearsal.floor.responseUs = quantiles(300);
  assert.deepEqual(caveatIds(judged(synthetic)), []);
});

test('too few samples say what would give them: more rounds, or longer slices', () => {
  const short = ruleOf(judged(rehearse(() => ({ ops: 100 }))), 'latency.p99');
  assert.match(short.inconclusive!.message, /has 200; P95 would have them with --slice 6s, 2 minutes of load$/);
  const enough = ruleOf(judged(rehearse(() => ({ ops: 220 }), { rounds: 3 })), 'latency.p99');
  assert.deepEqual([enough.inconclusive?.roundsNeeded, enough.inconclusive?.minutesNeeded], [5, 1]);
});
