/** Every report format: golden files of four fixed rehearsals (UPDATE_GOLDEN=1 rewrites them). */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { parseBudget } from '../../src/compare/budget.ts';
import { judge } from '../../src/compare/judge.ts';
import { FORMATS } from '../../src/report/index.ts';
import type { ReportSource } from '../../src/report/source.ts';
import { type Behaviour, rehearse } from '../support/rehearsal.ts';

const golden = join(import.meta.dirname, '../golden');
/** Of every text format; a page is looked at in a browser (`html.test.ts`). */
const EXTENSIONS = {
  ...{ terminal: 'txt', json: 'json', markdown: 'md', junit: 'xml', github: 'github' },
  ...{ csv: 'csv', hdr: 'hlog', openmetrics: 'prom' },
} satisfies Record<Exclude<keyof typeof FORMATS, 'html'>, string>;
const BUDGET = `apiVersion: cutover/budget@1
objectives:
  - {family: "feed:*", level: warn, latency: {p99: {max_increase: 5%}}}
  - {family: "session:*"}
`;

const judged = (behave: Behaviour, overrides = {}, budget = BUDGET): ReportSource => {
  const synthetic = rehearse((round, arm) => ({ families: ['session:{id}', 'feed:{id}'], ...behave(round, arm) }), {
    overrides,
  });
  const { rehearsal, latencyOf } = synthetic;
  const path = 'rehearsals/2026-11-23T14-05-09-3f9a';
  return { ...synthetic, judgement: judge(rehearsal, latencyOf, parseBudget(budget, 'budget.yaml'), path) };
};

const CASES: Record<string, ReportSource> = {
  pass: judged((round, arm) => (arm === 'candidate' ? { serviceUs: 410 + round, rssPerByte: 1.24 + round / 500 } : {})),
  fail: judged((round, arm) =>
    arm === 'candidate'
      ? { tail: 17 + round, errors: { 'session:{id} getex': { ERR: 31 }, 'feed:{id} lpush': { WRONGTYPE: 4 } } }
      : { errors: { 'feed:{id} lpush': { WRONGTYPE: 4 } } },
  ),
  inconclusive: judged(
    (round, arm) => ({ ops: 4600, ...(arm === 'candidate' ? { tail: [2, 9, 4, 12, 5][round]! } : {}) }),
    {
      configDifferences: [{ name: 'io-threads', baseline: '1', candidate: '4' }],
      caveats: [
        {
          id: 'commands-left-out',
          message: '12 commands were left out: SUBSCRIBE, MONITOR',
          advice: 'They are never replayed; see cutover model.',
        },
      ],
      findings: [
        {
          ...{ code: 'D12', rule: 'time-busy-wait', severity: 'error', calls: 4711 },
          ...{ message: 'this loop ends only when TIME goes on', fix: 'Never wait in a script.' },
        },
        {
          ...{ code: 'D03', rule: 'deprecated-command', severity: 'info', calls: 12 },
          ...{ message: 'valkey 8.1 calls HMSET deprecated', fix: 'HSET' },
        },
      ],
    },
  ),
  invalid: judged((round) => ({ achieved: round >= 3 ? 0.93 : 1 })),
};

for (const [name, source] of Object.entries(CASES)) {
  for (const [format, extension] of Object.entries(EXTENSIONS) as [keyof typeof EXTENSIONS, string][]) {
    test(`${format} of a rehearsal that is ${name}`, () => {
      assert.equal(source.judgement.verdict, name);
      const file = join(golden, `${name}.${extension}`);
      const text = FORMATS[format](source);
      if (process.env.UPDATE_GOLDEN) writeFileSync(file, text);
      assert.equal(text, readFileSync(file, 'utf8'));
    });
  }

  test(`the terminal report that is ${name} fits 80 columns, but for the command to copy`, () => {
    for (const line of FORMATS.terminal(source).split('\n')) {
      if (!line.startsWith('repeat  ')) assert.ok(line.length <= 80, `${line.length}: ${line}`);
    }
  });
}

test('colour only for a stream that wants it, and never the only signal', () => {
  // Node answers a depth of 1 for NO_COLOR and for dumb terminals.
  const stream = (depth: number) =>
    Object.assign(new PassThrough(), { isTTY: true, getColorDepth: () => depth }) as unknown as NodeJS.WriteStream;
  const forced = process.env.FORCE_COLOR;
  delete process.env.FORCE_COLOR;
  try {
    const plain = FORMATS.terminal(CASES.fail!);
    const coloured = FORMATS.terminal(CASES.fail!, stream(8));
    assert.ok(coloured.includes('\u001b[31mFAIL'));
    assert.equal(stripVTControlCharacters(coloured), plain);
    assert.equal(FORMATS.terminal(CASES.fail!, stream(1)), plain);
  } finally {
    if (forced !== undefined) process.env.FORCE_COLOR = forced;
  }
});
