/** What becomes of findings: order, suppression, baseline; and every format with hostile text in it. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Ajv } from 'ajv';
import addFormats from 'ajv-formats';
import { withoutKnown, writeBaseline } from '../../src/lint/baseline.ts';
import { type LintResult, lint, selectRules } from '../../src/lint/engine.ts';
import { parseProfile, parseServer } from '../../src/lint/profile.ts';
import { reportGithub } from '../../src/lint/report/github.ts';
import { lintDocument } from '../../src/lint/report/json.ts';
import { reportSarif } from '../../src/lint/report/sarif.ts';
import { reportTerminal } from '../../src/lint/report/terminal.ts';
import { RULES } from '../../src/lint/rules/index.ts';
import { readSources } from '../../src/lint/sources/read.ts';
import { temporaryFile } from '../support/capture.ts';
import { root } from '../support/cli.ts';

const profile = parseProfile('--from redis@8.0 --to valkey@8.1');
const rules = selectRules(RULES, { hygiene: true, named: [] });
const lintFile = async (name: string, text: string | Uint8Array): Promise<LintResult> =>
  lint(await readSources([temporaryFile(name, text)]), { profile, rules });
const eventually = (text: string) => lintFile('a.lua', text);
const vsim = "redis.call('VSIM', KEYS[1])";

test('a comment with a reason suppresses, on the line or the line above; by number or name', async () => {
  for (const text of [
    `${vsim} -- cutover-ignore D01: only on redis`,
    `-- cutover-ignore command-absent: only on redis\n${vsim}`,
    `--[[ cutover-ignore D01: only on redis ]]\n${vsim}`,
  ]) {
    const { findings, suppressed } = await eventually(text);
    assert.deepEqual([findings.length, suppressed.length], [0, 1], text);
    assert.match(suppressed[0]!.reason, /^only on redis/);
  }
  for (const text of [
    `-- cutover-ignore D02: another rule\n${vsim}`,
    `-- cutover-ignore D01: too far\n\n${vsim}`,
    `local x = ' cutover-ignore D01: a string'\n${vsim}`,
  ]) {
    assert.equal((await eventually(text)).findings.length, 1, text);
  }
});

test('a comment without a reason is not obeyed, and that is said', async () => {
  const { findings, notes } = await eventually(`${vsim} -- cutover-ignore D01`);
  assert.equal(findings.length, 1);
  assert.match(notes.join(), /has no reason/);
});

test('what is called more comes first, what is worse before that', async () => {
  const op = (script: string) => `1700000000.000001 [0 1.1.1.1:1] "EVAL" ${JSON.stringify(script)} "1" "k"\n`;
  const range = "return redis.call('LRANGE', KEYS[1], 0, -1)";
  const capture = `${op(range)}${op(`${range} -- often`).repeat(50)}${op(`return ${vsim}`)}`;
  const { findings } = await lintFile('c.log', capture);
  assert.deepEqual(
    findings
      .filter(({ code }) => code === 'D01' || code === 'H03')
      .map(({ code, calls, clients }) => ({ code, calls, clients })),
    [
      { code: 'D01', calls: 1, clients: 1 },
      { code: 'H03', calls: 50, clients: 1 },
      { code: 'H03', calls: 1, clients: 1 },
    ],
  );
});

test('a baseline takes out what it knows, wherever it moved, and counts', async () => {
  const path = temporaryFile('known.json', '');
  writeBaseline(await eventually(`${vsim}\n${vsim}`), path);
  const moved = await eventually(`local a = 1\n\n${vsim}\n${vsim}\n${vsim}`);
  const { findings, known } = withoutKnown(moved, path);
  assert.deepEqual([findings.length, known], [1, 2]);
});

test('a file that is no baseline is refused', async () => {
  const result = await eventually('return 1');
  for (const text of ['', '{}', '{"schema":"other"}']) {
    assert.throws(() => withoutKnown(result, temporaryFile('b.json', text)), { code: 'E_LINT_BASELINE' });
  }
});

test('servers: what they must look like, and what they know between releases that were read', async () => {
  for (const text of ['redis', 'redis@', 'redis@7', 'keydb@6.0', 'redis@1.0', 'valkey@7.0', 'redis@7.0-rc1']) {
    assert.throws(() => parseServer(text), { code: 'E_LINT_SERVER' }, text);
  }
  const count = async (to: string, command: string) => {
    const file = temporaryFile('a.lua', `redis.call('${command}', KEYS[1])`);
    const only = RULES.filter(({ code }) => code === 'D01');
    return lint(await readSources([file]), { profile: parseProfile(`--from redis@8.6 --to ${to}`), rules: only })
      .findings.length;
  };
  assert.equal(await count('valkey@9.0', 'HEXPIRE'), 0, 'since 9.0');
  assert.equal(await count('valkey@9.0', 'HGETDEL'), 1, 'since 9.1');
  assert.equal(await count('redis@8.2', 'XDELEX'), 0);
  assert.equal(await count('redis@8.0', 'XDELEX'), 1);
  assert.equal(await count('valkey@9.9', 'DELIFEQ'), 0, 'newer than all that is known');
});

test('equal scripts of several files are one, and name the others', async () => {
  const script = `return ${vsim}`;
  const paths = ['a.lua', 'b.lua'].map((name) => temporaryFile(name, script));
  const { findings, scripts } = lint(await readSources(paths), { profile, rules });
  assert.equal(scripts, 1);
  assert.deepEqual(
    findings.map(({ copies }) => copies),
    [[paths[1]]],
  );
});

const hostile = `-- \x1b]0;owned\x07\nlocal a = '\x1b[31m\xe2\x80\xae ::error::%0A"<x>' ${' '.repeat(500)}${vsim} -- \xc3\xa9\x9b`;

test('no format lets a terminal obey what a script holds', async () => {
  const result = await lintFile('c:%,\x1b[1m\u202e.lua', Buffer.from(hostile, 'latin1'));
  assert.equal(result.findings.length, 1);
  const text = reportTerminal(result);
  assert.doesNotMatch(text, /[^\P{C}\n]/u);
  assert.ok(
    text.split('\n').every((line) => line.length < 220),
    'long lines are cut to what is around the place',
  );
  const [annotation, ...rest] = reportGithub(result).trimEnd().split('\n');
  assert.deepEqual(rest, []);
  assert.match(annotation!, /^::error file=[^:,]*%3A%25%2C[^:,]*,line=2,col=\d+,title=D01 command-absent::VSIM/);
  assert.doesNotMatch(annotation!, /\p{C}/u);
  assert.doesNotThrow(() => JSON.stringify(lintDocument(result, 'error')));
});

test('SARIF is valid against the published schema', async () => {
  const schema = JSON.parse(readFileSync(join(root, 'test/lint/sarif-2.1.0.schema.json'), 'utf8'));
  const ajv = new Ajv({ strict: false, unicodeRegExp: false });
  (addFormats as unknown as (ajv: Ajv) => void)(ajv);
  const valid = ajv.compile(schema);
  for (const text of [hostile, `${vsim} -- cutover-ignore D01: fine`, 'return (', 'return 1']) {
    const sarif = JSON.parse(reportSarif(await lintFile('a b.lua', Buffer.from(text, 'latin1')), rules));
    assert.ok(valid(sarif), ajv.errorsText(valid.errors));
  }
});

test('SARIF counts columns as editors do', async () => {
  const sarif = JSON.parse(reportSarif(await eventually(`local a = 'é' ${vsim}`), rules));
  assert.equal(sarif.runs[0].results[0].locations[0].physicalLocation.region.startColumn, 15);
});
