/** The GitHub action's own shell, run as its runner would: outputs, summary, annotations and the exit code. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { temporaryFolder } from '../support/temporary.ts';

const root = resolve(import.meta.dirname, '../..');
const action = parse(readFileSync(join(root, 'action.yml'), 'utf8'));
const step = action.runs.steps.find(({ id }: { id?: string }) => id === 'rehearse');

function runStep(inputs: Record<string, string>) {
  const folder = temporaryFolder();
  const given: Record<string, string> = { folder: join(folder, 'rehearsal'), ...inputs };
  const env: Record<string, string> = {};
  for (const [name, expression] of Object.entries<string>(step.env)) {
    env[name] = expression
      .replace(/\$\{\{ github\.action_path \}\}\/bin\/run\.js/, join(root, 'bin/dev.js'))
      .replace(/\$\{\{ inputs\.([\w-]+) \}\}/, (_, input) => given[input] ?? action.inputs[input].default);
  }
  const [output, summary] = ['output', 'summary'].map((name) => join(folder, name)) as [string, string];
  for (const file of [output, summary]) writeFileSync(file, '');
  // As GitHub calls a step whose shell is bash.
  const { status, stdout } = spawnSync('bash', ['--noprofile', '--norc', '-eo', 'pipefail', '-c', step.run], {
    cwd: root,
    env: { ...process.env, ...env, GITHUB_OUTPUT: output, GITHUB_STEP_SUMMARY: summary },
    encoding: 'utf8',
  });
  const read = (file: string) => (existsSync(file) ? readFileSync(file, 'utf8') : undefined);
  return {
    status,
    stdout,
    output: read(output),
    summary: read(summary),
    junit: read(join(given.folder!, 'junit.xml')),
  };
}

test('a rehearsal: the verdict is the output, the summary and the exit code', () => {
  const { status, stdout, output, summary, junit } = runStep({
    baseline: 'process:redis-server',
    candidate: 'process:redis-server',
    'on-inconclusive': 'pass',
    arguments: '--rounds\n2\n--slice\n500ms\n--warmup\n200ms\n--rate\n500\n',
  });
  const verdict = /^verdict=(pass|inconclusive|fail|invalid)\n$/.exec(output ?? '')?.[1];
  assert.ok(verdict, output);
  assert.equal(status, { pass: 0, inconclusive: 0, fail: 1, invalid: 5 }[verdict]);
  assert.match(summary ?? '', new RegExp(`^## cutover: ${verdict}`));
  assert.match(stdout, new RegExp(`^::(notice|warning|error) title=cutover%3A ${verdict}::`, 'm'));
  assert.match(junit ?? '', /<testcase /);
});

test('inputs are words, never code; a server that is not there fails the job without an output', () => {
  const { status, output, summary } = runStep({
    baseline: 'process:$(touch pwned)',
    arguments: '--seed\n"; touch pwned; echo "',
  });
  assert.equal(status, 3);
  assert.equal(output, '');
  assert.equal(summary, '');
  assert.equal(existsSync(join(root, 'pwned')), false);
});
