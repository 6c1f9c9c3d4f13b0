/** The budget file: its defaults, its literals, and mistakes told with their place and the word that was meant. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseBudget } from '../../src/compare/budget.ts';
import { DEFAULT_BUDGET } from '../../src/compare/default-budget.ts';
import { CutoverError } from '../../src/errors.ts';

const HEAD = 'apiVersion: cutover/budget@1\n';
const parse = (text: string) => parseBudget(text, 'budget.yaml');

test('the default budget says what its text says', () => {
  assert.deepEqual(parse(DEFAULT_BUDGET), {
    alpha: 0.05,
    latency: [
      {
        family: '*',
        level: 'error',
        limits: [
          { percentile: 99, maxIncrease: 0.2, floorUs: 100 },
          { percentile: 99.9, maxIncrease: 0.25, floorUs: 200 },
        ],
      },
    ],
    stalls: { longerThanUs: 5000, maxRateRatio: 2, level: 'error' },
    memory: { rss: { maxIncrease: 0.1, floorBytes: 8 * 2 ** 20, phases: ['fill', 'end'] } },
    errors: { newPrefixes: 0, maxIncrease: 0.001 },
    allowed: [],
  });
});

test('the objectives that the default budget shows as comments are valid', () => {
  const text = DEFAULT_BUDGET.replace(/^# (objectives:| {2})/gm, '$1');
  assert.deepEqual(
    parse(text).latency.map(({ family, level }) => [family, level]),
    [
      ['*', 'error'],
      ['session:*', 'error'],
      ['feed:{id}', 'warn'],
    ],
  );
});

test('a section left out is judged by the default; off switches it off', () => {
  assert.deepEqual(parse(HEAD), parse(DEFAULT_BUDGET));
  const off = parse(`${HEAD}latency: off\nstalls: off\nmemory: off\nerrors: off\n`);
  assert.deepEqual(off, { alpha: 0.05, latency: [], allowed: [] });
});

test('an objective without latency has the limits of the latency section; off removes it', () => {
  const { latency } = parse(
    `${HEAD}latency: {p99: {max_increase: 5%}}\nobjectives: [{family: "a:*"}, {family: "b:*", level: off}]\n`,
  );
  const limits = [{ percentile: 99, maxIncrease: 0.05, floorUs: 100 }];
  assert.deepEqual(latency, [
    { family: '*', level: 'error', limits },
    { family: 'a:*', level: 'error', limits },
  ]);
});

test('literals', () => {
  const limit = (increase: string, floor: string) =>
    parse(`${HEAD}latency: {p99: {max_increase: ${increase}, floor: ${floor}}}`).latency[0]!.limits[0]!;
  assert.deepEqual(limit('0.5%', '1.5ms'), { percentile: 99, maxIncrease: 0.005, floorUs: 1500 });
  assert.equal(limit('20 %', '1s').floorUs, 1e6);
  for (const wrong of ['20', '"20"', '-5%', '20percent', '1e2%', '%', '20%%', 'toString']) {
    assert.throws(() => limit(wrong, '1ms'), { code: 'E_BUDGET' }, wrong);
  }
  for (const wrong of ['100', '100m', '1h', '-1ms', '1constructor']) {
    assert.throws(() => limit('5%', wrong), { code: 'E_BUDGET' }, wrong);
  }
});

/** Each mistake and what the message must say. */
const MISTAKES: [string, string][] = [
  [`${HEAD}latncy: off\n`, 'budget.yaml:2:1: unknown key "latncy"; did you mean "latency"?'],
  [`${HEAD}latency:\n  p99,9: {max_increase: 5%}\n`, 'budget.yaml:3:3: unknown key "p99,9"; did you mean "p99.9"?'],
  [
    `${HEAD}latency:\n  p99: {max_increas: 5%}\n`,
    'budget.yaml:3:9: unknown key "max_increas"; did you mean "max_increase"?',
  ],
  [`${HEAD}memory:\n  swap: 3\n`, 'budget.yaml:3:3: unknown key "swap"; known here: rss_per_logical_byte, '],
  [`${HEAD}latency:\n  p99:\n    max_increase: 20\n`, 'budget.yaml:4:19: latency.p99.max_increase: needs a unit: 20%'],
  [`${HEAD}latency:\n  p99: {floor: 1ms}\n`, 'budget.yaml:3:8: latency.p99.max_increase: is missing'],
  [`${HEAD}latency: on\n`, 'budget.yaml:2:10: latency: expected a section, or off'],
  [`${HEAD}latency: {}\n`, 'budget.yaml:2:10: latency: names no percentile'],
  [`${HEAD}confidence: {alpha: 5}\n`, 'budget.yaml:2:21: confidence.alpha: expected <=0.2'],
  [
    `${HEAD}objectives:\n  - family: a\n    level: warm\n`,
    'budget.yaml:4:12: objectives.0.level: did you mean "warn"?',
  ],
  [`${HEAD}objectives: [{family: a}, {family: a}]\n`, 'budget.yaml:2:36: objectives.1.family: this family has'],
  [`${HEAD}objectives: [{family: "*"}]\n`, 'budget.yaml:2:23: objectives.0.family: all families'],
  ['apiVersion: cutover/budget@2\n', 'budget.yaml:1:13: apiVersion: did you mean "cutover/budget@1"?'],
  ['latency: off\n', 'budget.yaml:1:1: apiVersion: is missing: cutover/budget@1'],
  [`${HEAD}a: [\n`, 'budget.yaml:3:1: not YAML:'],
  [`${HEAD}memory: off\nmemory: off\n`, 'budget.yaml:3:1: not YAML: Map keys must be unique'],
  ['', 'budget.yaml:1:1: the file: expected'],
  ['- 1\n', 'budget.yaml:1:1: the file: expected keys and values'],
  [`${HEAD}"\\e[31m": 1\n`, 'budget.yaml:2:1: unknown key "\\x1b[31m"'],
];

for (const [text, message] of MISTAKES) {
  test(`mistake: ${message}`, () => {
    assert.throws(
      () => parse(text),
      (error: unknown) => {
        assert.ok(error instanceof CutoverError);
        assert.equal(error.code, 'E_BUDGET');
        assert.equal(error.oclif.exit, 2);
        assert.ok(error.message.startsWith(message), `${error.message}\ndoes not start with\n${message}`);
        return true;
      },
    );
  });
}
