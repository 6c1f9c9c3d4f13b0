/** How long a load thread naps: never past its time, briefly while a reply is awaited, and always a little under real-time priority. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Driver } from '../../src/drive/driver.ts';
import { canSplit, choosePacing, Pacer } from '../../src/drive/thread/pacer.ts';
import { startServer } from '../../src/servers/index.ts';
import { makeRealtime, priorityOf, realtimeRefusal } from '../../src/servers/priority.ts';
import { sliceOf } from '../support/slice.ts';

test('a nap ends before the next op, and is short while a reply is awaited', () => {
  const pacer = new Pacer('nap', false);
  const idle = pacer.nap(0, 2000, false);
  assert.ok(idle > 1500 && idle < 2000, `${idle}`);
  assert.ok(pacer.nap(0, 2000, true) <= 50);
  assert.equal(pacer.nap(0, 0, false), 0);
  assert.equal(pacer.nap(0, -500, true), 0);
  assert.ok(pacer.nap(0, Number.POSITIVE_INFINITY, false) <= 3000);
});

test('a sender of few ops ends its naps earlier before an op than one of many', () => {
  const napOf = (betweenUs: number) => {
    const pacer = new Pacer('split', false);
    pacer.expect(betweenUs);
    return pacer.nap(0, 1000, false);
  };
  assert.ok(napOf(1000) < napOf(50), `${napOf(1000)} and ${napOf(50)}`);
  assert.equal(napOf(1000), new Pacer('nap', false).nap(0, 1000, false));
});

test('a nap that would be over before the thread is asleep is none', () => {
  const pacer = new Pacer('nap', false);
  for (let i = 0; i < 100; i++) {
    const napUs = pacer.nap(0, i, false);
    assert.ok(napUs === 0 || napUs >= 8, `${napUs}`);
  }
});

test('spinning polls while a reply is awaited', () => {
  const pacer = new Pacer('spin', false);
  assert.equal(pacer.nap(0, 2000, true), 0);
  assert.ok(pacer.nap(0, 2000, false) > 0);
});

test('a real-time thread rests a tenth of its time, whatever is due', () => {
  for (const pacing of ['nap', 'split', 'spin'] as const) {
    const pacer = new Pacer(pacing, true);
    let nowUs = 0;
    let restedUs = 0;
    for (let i = 0; i < 200; i++) {
      const beforeMs = performance.now();
      const napUs = pacer.nap(nowUs, 0, true);
      // What the thread really slept, which may be longer.
      const sleptUs = napUs > 0 ? Math.max(napUs, (performance.now() - beforeMs) * 1000) : 0;
      restedUs += sleptUs;
      nowUs += sleptUs + 50;
    }
    assert.ok(restedUs >= 0.09 * nowUs, `${restedUs} of ${nowUs}`);
  }
});

test('auto never spins under real-time priority, nor where there are no cores to spare', () => {
  assert.equal(choosePacing(1, 'realtime'), 'split');
  assert.equal(choosePacing(10_000, 'normal'), 'split');
});

test('only plain sockets of ours are written to by a sender', () => {
  assert.equal(canSplit('raw', {}), true);
  assert.equal(canSplit('raw', { tls: true }), false);
  assert.equal(canSplit('ioredis', {}), false);
});

/** Of the real-time threads of this process. */
const levelsOfThreads = () =>
  readdirSync('/proc/self/task')
    .map((id) => Number(readFileSync(`/proc/self/task/${id}/stat`, 'utf8').split(') ').at(-1)!.split(' ')[37]))
    .filter((level) => level > 0)
    .sort();

test('what runs at real-time priority is told by the system, and equal on both sides', async (t) => {
  const refusal = realtimeRefusal();
  if (refusal !== undefined) {
    t.diagnostic(`no real-time priority here: ${refusal}`);
    await assert.rejects(startServer('process:redis-server', { priority: 'realtime' }), { code: 'E_PRIORITY' });
    return;
  }
  await using server = await startServer('process:redis-server', { priority: 'realtime' });
  assert.equal(priorityOf(server.identity.pid!), 'realtime');
  assert.equal(priorityOf(process.pid), 'normal');
  const plan = { labels: [{ family: 'k', command: 'get' }], connections: [{ db: 0 }] };
  for (const priority of ['realtime', 'normal'] as const) {
    await using driver = await Driver.open(server.address, plan, { client: 'raw', workers: 2, priority });
    const { generator, replied } = await driver.run(sliceOf([{ args: ['GET', 'k'] }]));
    assert.equal(replied, 1);
    assert.equal(generator.priority, priority);
    assert.equal(generator.threadCores!.length, 2, 'one connection, one load thread, which is a sender and a reader');
    assert.deepEqual(levelsOfThreads(), priority === 'realtime' ? [10, 11] : [], 'the sender goes before the server');
  }
  assert.equal(makeRealtime(2 ** 30), false, 'there is no such thread');
});
