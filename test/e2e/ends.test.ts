/** Rehearsals that end early: a server dies, the user interrupts; what was measured is kept, nothing is left running. */
import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Rehearsal } from '../../src/measure/rehearsal.ts';
import { cutover } from '../support/cli.ts';
import { temporaryFolder } from '../support/temporary.ts';

const newFolder = () => join(temporaryFolder(), 'rehearsal');

function start(folder: string) {
  return cutover([
    'run',
    'captures/mixed.monitor.gz',
    '--baseline',
    'process:redis-server',
    '--candidate',
    'process:valkey-server',
    '--rounds',
    '3',
    '--slice',
    '1s',
    '--warmup',
    '500ms',
    '--output',
    folder,
  ]);
}

const read = (folder: string): Rehearsal => JSON.parse(readFileSync(join(folder, 'rehearsal.json'), 'utf8'));

/** Waits until one whole round and a slice of the second are on disk. */
async function untilSecondRound(folder: string): Promise<void> {
  for (let i = 0; i < 600; i++) {
    if (existsSync(join(folder, 'rehearsal.json'))) {
      const { rounds, stopped } = read(folder);
      if (!stopped && (rounds[1]?.arms.candidate.slices.length ?? 0) > 0) return;
    }
    await sleep(50);
  }
  throw new Error('the second round never came');
}

/** Server processes that descend from a process. */
function servers(parent: number): { pid: number; name: string }[] {
  return globSync('/proc/[0-9]*/stat').flatMap((path) => {
    try {
      const [, pid, name, ppid] = /^(\d+) \((.*)\) \S (\d+)/.exec(readFileSync(path, 'utf8'))!;
      return Number(ppid) === parent && /redis|valkey/.test(name!) ? [{ pid: Number(pid), name: name! }] : [];
    } catch {
      return [];
    }
  });
}

const alive = (pid: number) => existsSync(`/proc/${pid}`) && !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));

test('kill -9 of the candidate: exit 3, who died and when, its log, a folder that compare reads, nothing left', async () => {
  const folder = newFolder();
  const run = start(folder);
  await untilSecondRound(folder);
  const children = servers(run.child.pid!);
  const candidate = children.find(({ name }) => name.startsWith('valkey'));
  assert.ok(candidate && children.length === 2, JSON.stringify(children));
  process.kill(candidate.pid, 'SIGKILL');
  const { code, stderr } = await run;
  assert.equal(code, 3, stderr);
  assert.match(
    stderr,
    /candidate \(process:valkey-server, valkey [\d.]+\) died during slice \d of round 2: killed by SIGKILL at \d{4}-/,
  );
  assert.match(stderr, /Its log ended with:\n.*Ready to accept connections/s);
  assert.match(stderr, /cutover compare/);
  for (const { pid } of children) assert.equal(alive(pid), false, `process ${pid} is left`);
  assert.equal(read(folder).stopped?.reason, 'server-died');
  const again = await cutover(['compare', folder, '--json']);
  // One whole round gives no interval; on a busy machine not even that.
  assert.match(JSON.parse(again.stdout).verdict, /^(inconclusive|invalid)$/, again.stderr);
});

test('Ctrl-C: exit 130, what was measured is kept, nothing left; --resume goes on, and repeats a slice during which it stood still', async () => {
  const folder = newFolder();
  const run = start(folder);
  await untilSecondRound(folder);
  const children = servers(run.child.pid!);
  assert.equal(children.length, 2);
  run.child.kill('SIGINT');
  const { code, stderr } = await run;
  assert.equal(code, 130, stderr);
  assert.match(stderr, /Interrupted in round 2 of 3/);
  for (const { pid } of children) assert.equal(alive(pid), false, `process ${pid} is left`);
  assert.equal(read(folder).stopped?.reason, 'interrupted');
  // Its one whole round gives no interval; on a busy machine not even that.
  assert.match(`${(await cutover(['compare', folder, '--json'])).code}`, /^[45]$/);

  const [first] = read(folder).rounds;
  const resuming = cutover(['run', '--resume', folder, '--json']);
  await untilSecondRound(folder);
  await sleep(300);
  resuming.child.kill('SIGSTOP');
  await sleep(400);
  resuming.child.kill('SIGCONT');
  const resumed = await resuming;
  assert.match(resumed.stdout, /"verdict"/, resumed.stderr);
  const whole = read(folder);
  assert.deepEqual(whole.rounds[0], first);
  assert.deepEqual(
    // One that the host spoils is followed by another.
    whole.rounds.slice(0, 3).map(({ index, invalid, arms }) => [index, invalid, arms.candidate.slices.length]),
    [0, 1, 2].map((index) => [index, undefined, 2]),
  );
  assert.equal(whole.stopped, undefined);
  const verdict = JSON.parse(resumed.stdout);
  assert.equal(verdict.rounds.planned, 3);
  assert.match((await cutover(['run', '--resume', folder])).stderr, /is finished/);
  // Both arms went on with the next seconds of the workload.
  const round = whole.rounds.find(({ repeated }) => repeated?.some(({ reason }) => /stood still/.test(reason)));
  assert.ok(round, 'no slice was repeated');
  const [ours, theirs] = Object.values(round.arms).map(({ slices }) =>
    slices.map(({ pair, seed }) => `${pair} ${seed}`),
  );
  assert.deepEqual(ours!.sort(), theirs!.sort());
});
