/** `cutover run --cluster 3`: both arms clusters that it starts, forms and removes. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ARMS, type Rehearsal } from '../../src/measure/rehearsal.ts';
import { temporaryFile } from '../support/capture.ts';
import { cutover, root } from '../support/cli.ts';
import { temporaryFolder } from '../support/temporary.ts';
import { monitorLine } from '../support/workload.ts';

test('a rehearsal on two clusters of three: every op is accounted for, those of several slots are reported', async () => {
  const lines = Array.from({ length: 3000 }, (_, i) => {
    const args = [
      ['SET', `user:${i % 300}`, 'x'.repeat(40)],
      ['MGET', `{cart:${i % 90}}:a`, `{cart:${i % 90}}:b`],
      ['MGET', `user:${i % 300}`, `user:${(i + 1) % 300}`],
    ][i % 3]!;
    return monitorLine({ atUs: 1_700_000_000e6 + i * 2000, client: `10.0.0.1:${1000 + (i % 4)}`, args });
  });
  const output = join(temporaryFolder(), 'clusters');
  const { code, stderr, stdout } = await cutover([
    ...['run', temporaryFile('cluster.log', `OK\n${lines.join('')}`), '--cluster', '3', '--output', output, '--json'],
    ...['--baseline', 'process:redis-server', '--candidate', 'process:valkey-server', '--memory-protocol', 'off'],
    ...['--rounds', '1', '--slice-pairs', '1', '--slice', '1s', '--warmup', '200ms'],
  ]);
  assert.ok([0, 1, 4, 5].includes(code!), stderr);
  const { command, arms, rounds, caveats }: Rehearsal = JSON.parse(
    readFileSync(join(output, 'rehearsal.json'), 'utf8'),
  );
  assert.match(command, / --cluster 3/);
  const [round] = rounds;
  for (const arm of ARMS) {
    assert.equal(arms[arm].primaries, 3);
    const [slice] = round!.arms[arm].slices;
    const { planned, replied, errors, lost, unsent, cluster } = slice!;
    assert.ok(planned > 100);
    assert.deepEqual([cluster!.moved, cluster!.asked, lost, unsent], [0, 0, 0, 0]);
    // A third of all: two users are seldom in one slot, the halves of a cart always.
    assert.ok(
      cluster!.crossSlot > planned / 5 && cluster!.crossSlot <= planned / 2,
      `${cluster!.crossSlot} of ${planned}`,
    );
    assert.deepEqual(errors, { CROSSSLOT: cluster!.crossSlot });
    assert.equal(replied, planned - cluster!.crossSlot);
    assert.deepEqual(round!.arms[arm].preload.errors, {});
  }
  assert.ok(caveats.some(({ id }) => id === 'cross-slot'));
  assert.deepEqual(JSON.parse(stdout).arms.candidate.primaries, 3);
});

test('a memory protocol that clusters do not have takes none of the time', async () => {
  const capture = join(root, 'captures/sessions.monitor.gz');
  const servers = ['--baseline', 'process:redis-server', '--candidate', 'process:redis-server'];
  const leastSeconds = async (...flags: string[]) => {
    const { code, stderr } = await cutover(['run', capture, ...servers, '--time', '1s', ...flags]);
    assert.equal(code, 2, stderr);
    return Number(/--time (\d+)s or more/.exec(stderr)![1]);
  };
  const full = ['--memory-protocol', 'full'];
  const quick = await leastSeconds('--memory-protocol', 'quick');
  assert.ok((await leastSeconds(...full)) > quick + 400);
  assert.equal(await leastSeconds(...full, '--cluster', '3'), quick);
});
