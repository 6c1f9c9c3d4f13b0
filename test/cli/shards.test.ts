/** Two machines' parts of a run, and their merger, as a user has them; here both are this machine. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse, parseAllDocuments } from 'yaml';
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
const servers = ['--baseline', 'redis://127.0.0.1:1', '--candidate', 'redis://127.0.0.1:1'];

test('what cannot be a shard is said before anything runs', async () => {
  const past = '2020-01-01T00:00:00Z';
  const cases: { args: string[]; env?: Record<string, string>; code: number; message: RegExp }[] = [
    { args: ['--shard', '3/2', ...servers], code: 2, message: /--shard 3\/2 is no part/ },
    {
      args: ['--shard', '1/2', '--baseline', 'process:redis-server', '--candidate', 'process:valkey-server'],
      ...{ code: 2, message: /process:redis-server would be another one for each shard[\s\S]*name them by URL/ },
    },
    { args: ['--shard', '1/2', '--start-at', past, ...servers], code: 3, message: /start at 2020-01-01T00:00:00.000Z/ },
    {
      args: ['--shard', '1/2', '--start-at', 'noon', ...servers],
      code: 2,
      message: /noon is no time[\s\S]*with its zone/,
    },
    { args: servers, env: { JOB_COMPLETION_INDEX: '0' }, code: 2, message: /JOB_COMPLETIONS \(not set\)/ },
    {
      args: servers,
      env: { JOB_COMPLETION_INDEX: '1', JOB_COMPLETIONS: '2', CUTOVER_START_AT: past },
      ...{ code: 3, message: /^shard 2 of 2, by JOB_COMPLETION_INDEX\n[\s\S]*start at 2020/ },
    },
  ];
  await Promise.all(
    cases.map(async ({ args, env = {}, code, message }) => {
      const finished = await cutover(['run', capture, ...args], { env });
      assert.match(finished.stderr, message);
      assert.equal(finished.code, code, args.join(' '));
    }),
  );
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
