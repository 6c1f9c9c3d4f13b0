/** `cutover report` as a user has it: any format, to stdout or to a file, exit 0 whatever the verdict. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { DEFAULT_BUDGET } from '../../src/compare/default-budget.ts';
import { cutover } from '../support/cli.ts';
import { rehearse, writeRehearsal } from '../support/rehearsal.ts';

const root = mkdtempSync(join(tmpdir(), 'cutover-report-'));
const path = join(root, 'rehearsal');
before(async () => {
  const failing = rehearse((_, arm) => (arm === 'candidate' ? { tail: 20 } : {}));
  await writeRehearsal(path, failing, { budget: DEFAULT_BUDGET });
});
after(() => rmSync(root, { recursive: true }));

const STARTS = {
  terminal: /^baseline {3}redis 7\.0\.15/,
  json: /^{\n {2}"schema": "cutover\/verdict@1"/,
  markdown: /^## cutover: fail\n/,
  junit: /^<\?xml version="1\.0"/,
  html: /^<!doctype html>/,
};

for (const [format, start] of Object.entries(STARTS)) {
  test(`${format} on stdout and in a file is the same`, async () => {
    const shown = await cutover(['report', path, '--format', format]);
    assert.deepEqual([shown.code, shown.stderr], [0, '']);
    assert.match(shown.stdout, start);
    const file = join(root, format);
    const written = await cutover(['report', path, '--format', format, '--output', file]);
    assert.deepEqual([written.code, written.stdout], [0, '']);
    assert.equal(readFileSync(file, 'utf8'), shown.stdout);
  });
}

test('colour does not reach a file', async () => {
  const file = join(root, 'plain');
  await cutover(['report', path, '--output', file], { env: { NO_COLOR: '', FORCE_COLOR: '1' } });
  assert.ok(!readFileSync(file, 'utf8').includes('\u001b'));
});

test('several folders are laid over each other; formats of one rehearsal refuse them', async () => {
  const older = rehearse(() => ({}), { overrides: { startedAt: '2026-11-01T00:00:00.000Z' } });
  const second = await writeRehearsal(join(root, 'older'), older, { budget: DEFAULT_BUDGET });
  const terminal = await cutover(['report', path, second]);
  assert.deepEqual([terminal.code, terminal.stderr], [0, '']);
  assert.match(terminal.stdout, /^2 rehearsals, oldest first\n/);
  assert.ok(terminal.stdout.endsWith(`folder 1  ${second}\nfolder 2  ${path}\n`));
  const file = join(root, 'history.html');
  assert.equal((await cutover(['report', path, second, '--format', 'html', '--output', file])).code, 0);
  assert.match(readFileSync(file, 'utf8'), /2 rehearsals/);
  const { schema, rehearsals, notes } = JSON.parse((await cutover(['report', path, second, '--json'])).stdout);
  assert.deepEqual([schema, rehearsals.length, notes], ['cutover/history@1', 2, []]);
  const junit = await cutover(['report', path, second, '--format', 'junit']);
  assert.deepEqual([junit.code, junit.stdout], [2, '']);
  assert.match(junit.stderr, /Several rehearsals have no junit report/);
  const none = await cutover(['report']);
  assert.equal(none.code, 2);
  assert.match(none.stderr, /No rehearsal is named/);
});

test('an unknown format and a file that cannot be written exit 2', async () => {
  const unknown = await cutover(['report', path, '--format', 'pdf']);
  assert.equal(unknown.code, 2);
  assert.match(unknown.stderr, /pdf/);
  const nowhere = await cutover(['report', path, '--output', join(root, 'absent/file')]);
  assert.equal(nowhere.code, 2);
  assert.match(nowhere.stderr, /Cannot write .*absent\/file/);
});
