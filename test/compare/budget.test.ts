/** The budget file: its defaults, its literals, and mistakes told with their place and the word that was meant. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { BudgetSchema, memoryProtocolFor, parseBudget } from '../../src/compare/budget.ts';
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

const FULL = `${HEAD}metadata: {name: checkout cache, owner: team-sre, review: 2026-12-01}
confidence: {alpha: 0.05, rounds: {looks: [6, 10, 15, 20], method: pocock}, on_inconclusive: fail}
stalls: {longer_than: 5ms, max_rate_ratio: 2.0, level: warn}
slo: {extra_burn: 0.1}
objectives:
  - family: "session:{id}"
    commands: [SETEX, get]
    key: true
    weight: 3
    slo: {threshold: 2ms, target: 99.95%, window: 28d}
    budget: {extra_burn: 0.5, peak_burn: 6}
    latency: off
  - {family: "*", slo: {threshold: 1ms, target: 99.9%}}
memory:
  rss_per_logical_byte: {max_increase: 5%, phases: [fill, churn, refill]}
  peak_during_save: {max_increase: 10%, floor: 1MiB}
  allocators_differ_because: production has both
correctness:
  allow:
    - {id: D-17, match: "OBJECT ENCODING *", reason: "listpack naming", owner: "team-sre", expires: 2026-12-31}
`;

test('everything that a budget can say', () => {
  const { latency, errors, ...budget } = parse(FULL);
  assert.equal(latency.length, 1);
  assert.deepEqual(errors, { newPrefixes: 0, maxIncrease: 0.001 });
  assert.deepEqual(budget, {
    ...{ name: 'checkout cache', owner: 'team-sre', reviewOn: '2026-12-01', alpha: 0.05, onInconclusive: 'fail' },
    looks: { rounds: [6, 10, 15, 20], method: 'pocock' },
    stalls: { longerThanUs: 5000, maxRateRatio: 2, level: 'warn' },
    slo: {
      extraBurn: 0.1,
      objectives: [
        {
          ...{ family: 'session:{id}', commands: ['setex', 'get'], level: 'error', isKey: true, weight: 3 },
          ...{ extraBurn: 0.5, peakBurn: 6, thresholdUs: 2000, target: 0.9995, windowDays: 28 },
        },
        {
          ...{ family: '*', level: 'error', isKey: false, weight: 1 },
          ...{ extraBurn: 0.25, peakBurn: 14.4, thresholdUs: 1000, target: 0.999, windowDays: 30 },
        },
      ],
    },
    memory: {
      rss: { maxIncrease: 0.05, floorBytes: 8 * 2 ** 20, phases: ['fill', 'churn', 'refill'] },
      peakDuringSave: { maxIncrease: 0.1, floorBytes: 2 ** 20 },
      allocatorsDifferBecause: 'production has both',
    },
    allowed: [
      ...[{ id: 'D-17', match: 'OBJECT ENCODING *', reason: 'listpack naming', owner: 'team-sre' }].map((entry) => ({
        ...entry,
        expires: '2026-12-31',
      })),
    ],
  });
});

test('the example of the page parses and names every section', () => {
  const page = readFileSync(new URL('../../docs/budget.md', import.meta.url), 'utf8');
  const example = /```yaml\n([\s\S]*?)```/.exec(page)![1]!;
  parse(example);
  assert.deepEqual(Object.keys(parseYaml(example)).sort(), Object.keys(BudgetSchema.shape).sort());
});

test('the full memory protocol is run where the budget judges what only it measures', () => {
  const needed = (memory: string) => memoryProtocolFor(parse(`${HEAD}memory: ${memory}\n`));
  assert.equal(memoryProtocolFor(parse(HEAD)), 'quick');
  assert.equal(needed('off'), 'quick');
  assert.equal(needed('{rss_per_logical_byte: {max_increase: 5%, phases: [end]}}'), 'quick');
  assert.equal(needed('{rss_per_logical_byte: {max_increase: 5%, phases: [end, refill]}}'), 'full');
  assert.equal(needed('{peak_during_save: {max_increase: 5%}}'), 'full');
});

test('the JSON Schema for editors takes what the parser takes, and describes it', () => {
  const schema = z.toJSONSchema(BudgetSchema, { io: 'input' });
  const validate = new Ajv2020({ strict: false, formats: { date: true } }).compile(schema);
  for (const text of [DEFAULT_BUDGET, FULL]) assert.ok(validate(parseYaml(text)), JSON.stringify(validate.errors));
  for (const wrong of [
    'latncy: off',
    'memory: on',
    'latency: {p99: {max_increase: 20}}',
    'objectives: [{level: warn}]',
  ]) {
    assert.ok(!validate(parseYaml(`${HEAD}${wrong}\n`)), wrong);
  }
  assert.match(JSON.stringify(schema), /Glob over key families/);
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
  [
    `${HEAD}objectives: [{family: a, commands: [GET, SET]}, {family: a, commands: [set, get]}]\n`,
    'budget.yaml:2:58: objectives.1.family: this family has',
  ],
  [`${HEAD}objectives: [{family: a, key: true}]\n`, 'budget.yaml:2:31: objectives.0.key: there is no slo'],
  [`${HEAD}objectives: [{family: a, budget: {}}]\n`, 'budget.yaml:2:34: objectives.0.budget: there is no slo'],
  [
    `${HEAD}objectives: [{family: a, slo: {threshold: 1ms, target: 100%}}]\n`,
    'budget.yaml:2:56: objectives.0.slo.target: expected less than 100%',
  ],
  [`${HEAD}confidence: {rounds: {looks: [6, 5]}}\n`, 'budget.yaml:2:30: confidence.rounds.looks: must rise'],
  [
    `${HEAD}confidence: {rounds: {looks: [6], method: pocok}}\n`,
    'budget.yaml:2:43: confidence.rounds.method: did you mean "pocock"?',
  ],
  [
    `${HEAD}memory: {rss_per_logical_byte: {max_increase: 1%, phases: [fil]}}\n`,
    'budget.yaml:2:60: memory.rss_per_logical_byte.phases.0: did you mean "fill"?',
  ],
  [
    `${HEAD}correctness: {allow: [{id: a, match: b, reason: c, owner: d, expires: 31.12.2026}]}\n`,
    'budget.yaml:2:71: correctness.allow.0.expires: expected a date like 2027-01-31',
  ],
  [
    `${HEAD}correctness: {allow: [{id: a, match: b, reason: c, expires: 2026-12-31}]}\n`,
    'budget.yaml:2:23: correctness.allow.0.owner: is missing',
  ],
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
