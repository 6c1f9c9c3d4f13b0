/** Two machines' parts of a run, and their merger, as a user has them; here both are this machine. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse, parseAllDocuments } from 'yaml';
import { askedShard, assertShardable } from '../../src/cli/shard.ts';
import type { Rehearsal } from '../../src/measure/rehearsal.ts';
import { buildModel } from '../../src/model/build.ts';
import { openWorkload } from '../../src/plan/mode.ts';
import { temporaryFile } from '../support/capture.ts';
import { cutover, root } from '../support/cli.ts';
import { startForeignServer } from '../support/servers.ts';
import { temporaryFolder } from '../support/temporary.ts';
import { monitorLine } from '../support/workload.ts';

const lines = Array.from({ length: 4000 }, (_, i) =>
  monitorLine({
    atUs: 1_700_000_000e6 + i * 1000,
    client: `10.0.0.1:${1000 + (i % 8)}`,
    args: i % 3 ? ['GET', `user:${i % 200}`] : ['SET', `user:${i % 200}`, 'x'.repeat(50)],
  }),
);
const capture = temporaryFile('shards.log', `OK\n${lines.join('')}`);

const past = '2020-01-01T00:00:00Z';

test('what cannot be a shard is said before anything runs', async () => {
  const run = ['run', capture, '--baseline', 'redis://127.0.0.1:1', '--candidate', 'redis://127.0.0.1:1'];
  const late = await cutover([...run, '--start-at', past], {
    env: { JOB_COMPLETION_INDEX: '1', JOB_COMPLETIONS: '2' },
  });
  assert.match(
    late.stderr,
    /^shard 2 of 2, by JOB_COMPLETION_INDEX\n[\s\S]*The shards start at 2020-01-01T00:00:00\.000Z/,
  );
  assert.equal(late.code, 3);
  const noTime = await cutover([...run, '--shard', '1/2', '--start-at', '2026-11-23 12:00']);
  assert.match(noTime.stderr, /2026-11-23 12:00 is no time[\s\S]*with its zone/);
  assert.equal(noTime.code, 2);
});

test('who asks for a shard, and what shards cannot do together', () => {
  const flags = { shard: undefined, 'start-at': 5000, 'shard-gap': 3 };
  const shard = { number: 2, count: 3, startAtMs: 5000, gapSeconds: 3 };
  assert.equal(askedShard(flags, {}), undefined);
  assert.deepEqual(askedShard({ ...flags, shard: '2/3' }, { JOB_COMPLETION_INDEX: '7' }), { shard });
  assert.deepEqual(askedShard(flags, { JOB_COMPLETION_INDEX: '1', JOB_COMPLETIONS: '3' }), {
    ...{ shard, note: 'shard 2 of 3, by JOB_COMPLETION_INDEX' },
  });
  // All of the plan, as without the flag, wherever it runs.
  assert.equal(askedShard({ ...flags, shard: '1/1' }, { JOB_COMPLETION_INDEX: '7' }), undefined);
  assert.throws(() => askedShard(flags, { JOB_COMPLETION_INDEX: '7' }), { code: 'E_SHARD' });

  const urls = { baseline: 'redis://a:1', candidate: 'unix:/b' };
  const asked = { ...shard, startAtMs: undefined };
  const refusal = (specs: typeof urls, also = {}) => ({
    of: () => assertShardable(asked, specs, { resumes: false, searches: false, ...also }),
  });
  refusal(urls).of();
  assert.throws(refusal({ ...urls, candidate: 'process:valkey-server' }).of, {
    ...{ code: 'E_SHARD_SERVERS', message: /process:valkey-server would be another one for each shard/ },
  });
  assert.throws(refusal(urls, { searches: true }).of, { code: 'E_SHARD_RATE' });
  assert.throws(refusal(urls, { resumes: true }).of, { code: 'E_SHARD_RESUME' });
  assert.throws(() => assertShardable(shard, urls, { resumes: false, searches: false }), { code: 'E_SHARD_LATE' });
});

test('two shards drive the same servers together; merged they are the plan, and judged', async () => {
  using baseline = await startForeignServer('redis');
  using candidate = await startForeignServer('valkey');
  const run = [
    ...[
      'run',
      capture,
      '--baseline',
      `redis://127.0.0.1:${baseline.port}`,
      '--candidate',
      `redis://127.0.0.1:${candidate.port}`,
    ],
    ...['--rounds', '1', '--slice-pairs', '1', '--slice', '500ms', '--warmup', '200ms', '--allow-nonempty', '--json'],
  ];
  const folderOf = (path: string): Rehearsal => JSON.parse(readFileSync(join(path, 'rehearsal.json'), 'utf8'));
  let parts: string[] = [];
  // A machine that is busy is late: then again, with more time to get ready.
  for (const [leadSeconds, gap] of [
    [5, '500ms'],
    [15, '2s'],
    [40, '5s'],
  ] as const) {
    const folder = temporaryFolder();
    const startAt = String(Math.ceil(Date.now() / 1000) + leadSeconds);
    const finished = await Promise.all(
      [1, 2].map((number) =>
        cutover([
          ...[...run, '--shard', `${number}/2`, '--start-at', startAt, '--shard-gap', gap],
          ...['--output', join(folder, String(number))],
        ]),
      ),
    );
    if (finished.some(({ stdout }) => stdout.includes('E_SHARD_LATE'))) continue;
    const summaries = finished.map(({ code, stdout, stderr }) => {
      assert.equal(code, 0, stderr);
      return JSON.parse(stdout);
    });
    assert.deepEqual(
      summaries.map(({ schema, shard }) => [schema, shard.number, shard.count]),
      [1, 2].map((number) => ['cutover/shard@1', number, 2]),
    );
    for (const { planned, replied, errors, lost } of summaries)
      assert.deepEqual([replied, errors, lost], [planned, 0, 0]);
    parts = summaries.map(({ rehearsal }) => rehearsal);
    if (summaries.every(({ invalid }) => invalid.length === 0)) break;
  }

  const output = join(temporaryFolder(), 'merged');
  const merged = await cutover(['merge', ...parts.toReversed(), '--output', output, '--json']);
  assert.ok([0, 1, 4, 5].includes(merged.code!), merged.stderr);
  const judgement = JSON.parse(merged.stdout);
  assert.equal(judgement.exitCode, merged.code);
  assert.ok(judgement.caveats.some(({ id }: { id: string }) => id === 'merged-shards'));

  const { rounds, seed, settings, command } = folderOf(output);
  const [round] = rounds as [Rehearsal['rounds'][number]];
  const { model } = await buildModel(capture);
  const epochSeconds = Number(/--epoch (\d+)/.exec(command)![1]);
  const whole = await openWorkload({
    ...{ mode: 'modelled', keys: undefined, source: capture, model, seed, epochSeconds, rate: settings.rate },
    ...{ seconds: 0.7, replica: false },
  });
  whole.slice(0, 0, 0.2);
  const planned = whole.slice(0, 0.2, 0.5);
  for (const [arm, server] of [
    ['baseline', baseline],
    ['candidate', candidate],
  ] as const) {
    const [slice] = round.arms[arm].slices;
    assert.equal(slice!.planned, planned.count);
    assert.equal(slice!.replied, planned.count);
    assert.equal(round.arms[arm].preload.keys, whole.plan.preload.keys);
    assert.ok(Number(server.cli('DBSIZE')) >= whole.plan.preload.keys);
    assert.equal(
      slice!.planned,
      parts.reduce((sum, part) => sum + folderOf(part).rounds[0]!.arms[arm].slices[0]!.planned, 0),
    );
  }
  assert.doesNotMatch(command, /--shard/);

  const lone = await cutover(['compare', parts[0]!, '--json']);
  assert.ok(JSON.parse(lone.stdout).caveats.some(({ id }: { id: string }) => id === 'shard'));
  const refused = await cutover(['merge', parts[0]!]);
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /Of 2 shards, 2 is missing/);
});

test('the shipped deployments name commands and flags that there are, and as many shards as they merge', async () => {
  const { flags } = (await import('../../commands/run.ts')).default;
  const check = (args: string[]) => {
    assert.equal(args[0], 'run');
    for (const word of args) if (word.startsWith('--')) assert.ok(word.slice(2) in flags, word);
  };
  const compose = parse(readFileSync(join(root, 'deploy/compose-shards.yaml'), 'utf8'), { merge: true });
  const services: [string, { command: string[]; environment: Record<string, string> }][] = Object.entries(
    compose.services,
  );
  const shards = services.flatMap(([name, service]) => (name.startsWith('shard-') ? service : []));
  shards.forEach(({ command, environment }, i) => {
    check(command);
    assert.equal(command[command.indexOf('--shard') + 1], `${i + 1}/${shards.length}`);
    assert.match(environment.CUTOVER_BASELINE!, /^redis:\/\/redis:6379$/);
  });
  const outputs = shards.map(({ command }) => command[command.indexOf('--output') + 1]);
  assert.deepEqual(compose.services.merge.command.slice(0, 1 + shards.length), ['merge', ...outputs]);
  for (const name of Object.keys(compose.services.merge.depends_on)) assert.ok(name in compose.services);

  const [, job, merge] = parseAllDocuments(readFileSync(join(root, 'deploy/kubernetes-indexed-job.yaml'), 'utf8')).map(
    (document) => {
      assert.deepEqual(document.errors, []);
      return document.toJS();
    },
  );
  const { completions, parallelism, completionMode, template } = job.spec;
  const [container] = template.spec.containers;
  const count = container.env.find(({ name }: { name: string }) => name === 'JOB_COMPLETIONS').value;
  assert.deepEqual([completionMode, completions, String(parallelism)], ['Indexed', parallelism, count]);
  check(container.args);
  assert.equal(
    merge.spec.template.spec.containers[0].args.filter((word: string) => /^\/shards\/\d/.test(word)).length,
    completions,
  );
});
