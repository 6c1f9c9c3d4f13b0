/** `cutover lint`: what it prints, how it ends, what it refuses. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { temporaryFile } from '../support/capture.ts';
import { cutover } from '../support/cli.ts';

const bad = "local call = redis.call\nreturn call('HEXPIRE', KEYS[1], 60, 'FIELDS', 1, 'f')\n";
const slow = "return redis.call('LRANGE', KEYS[1], 0, -1)\n";

test('a finding: the line, a caret under the place, the fix; exit code 1', async () => {
  const file = temporaryFile('a.lua', bad);
  const { code, stdout, stderr } = await cutover(['lint', file]);
  assert.equal(code, 1);
  assert.equal(stderr, '');
  assert.match(stdout, /error D01 command-absent\n +HEXPIRE does not exist on valkey 8\.1: valkey has it since 9\.0/);
  assert.match(stdout, /2 │ return call\('HEXPIRE', KEYS\[1\], 60, 'FIELDS', 1, 'f'\)\n +│ {8}\^{46}\n/);
  assert.match(stdout, /redis 7\.0 → valkey 8\.1: 1 script, 1 error\n/);
});

test('nothing found: exit code 0; hygiene when asked for; --fail-on', async () => {
  const file = temporaryFile('a.lua', slow);
  const quiet = await cutover(['lint', file]);
  assert.equal(quiet.code, 0);
  assert.match(quiet.stdout, /1 script, nothing found/);
  const hygiene = await cutover(['lint', file, '--hygiene']);
  assert.equal(hygiene.code, 0, 'a warning does not fail by default');
  assert.match(hygiene.stdout, /warning H03/);
  assert.equal((await cutover(['lint', file, '--hygiene', '--fail-on', 'warning'])).code, 1);
  assert.match(
    (await cutover(['lint', '--rule', 'h03', '--rule', 'D11', file])).stdout,
    /warning H03/,
    'naming a rule is asking for it',
  );
});

test('--json is one document', async () => {
  const file = temporaryFile('a.lua', bad);
  const { code, stdout } = await cutover(['lint', file, temporaryFile('b.lua', 'return ('), '--json']);
  assert.equal(code, 1);
  const document = JSON.parse(stdout);
  assert.equal(document.schema, 'cutover/lint@1');
  assert.equal(document.scripts, 2);
  const [{ rule, code: number, severity, category, file: at, line, column, message, fix, range }] = document.findings;
  assert.deepEqual(
    { rule, number, severity, category, at, line, column },
    {
      rule: 'command-absent',
      number: 'D01',
      severity: 'error',
      category: 'incompatible',
      at: file,
      line: 2,
      column: 8,
    },
  );
  assert.ok(message && fix && range);
  assert.equal(document.parseErrors.length, 1);
});

test('a shipped capture: scripts with their calls', async () => {
  const { code, stdout } = await cutover(['lint', 'captures/queue.monitor.gz', '--hygiene', '--rule', 'H03', '--json']);
  assert.equal(code, 0);
  const { findings, scripts, parseErrors } = JSON.parse(stdout);
  assert.ok(scripts > 10);
  assert.deepEqual(parseErrors, []);
  assert.ok(
    findings.length > 0 &&
      findings.every(({ calls, script }: { calls: number; script: object }) => calls > 0 && script),
  );
});

test('a baseline: written, then obeyed', async () => {
  const file = temporaryFile('a.lua', bad);
  const known = temporaryFile('known.json', '');
  assert.equal((await cutover(['lint', file, '--write-baseline', known])).code, 1);
  assert.equal(JSON.parse(readFileSync(known, 'utf8')).findings.length, 1);
  const { code, stdout } = await cutover(['lint', file, '--baseline', known]);
  assert.equal(code, 0);
  assert.match(stdout, /nothing found \(1 known\)/);
});

test('--explain prints a page', async () => {
  const { code, stdout } = await cutover(['lint', '--explain', 'table-order-dependence']);
  assert.equal(code, 0);
  assert.match(
    stdout,
    /^# D11 table-order-dependence[\s\S]*## Why[\s\S]*## Flagged[\s\S]*## Not flagged[\s\S]*## Fix[\s\S]*## Evidence/,
  );
});

test('what it refuses: nothing to read, no such file, rule or server; no capture', async () => {
  const cases: [string[], RegExp][] = [
    [[], /nothing to read/],
    [['no/such/file'], /Cannot read no\/such\/file/],
    [[temporaryFile('a.lua', ''), '--rule', 'D99'], /There is no rule D99/],
    [[temporaryFile('a.lua', ''), '--to', 'valkey@8'], /valkey@8\.0, valkey@8\.1/],
    [[temporaryFile('notes.txt', 'hello\n')], /not a MONITOR capture/],
  ];
  for (const [args, expected] of cases) {
    const { code, stderr } = await cutover(['lint', ...args]);
    assert.equal(code, 2, args.join(' '));
    assert.match(stderr, expected);
  }
});
