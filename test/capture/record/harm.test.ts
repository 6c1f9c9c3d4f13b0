/** What ends a burst before harm: evictions, memory, slowness; and what does not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HarmFinder } from '../../../src/capture/record/harm.ts';
import type { Info } from '../../../src/capture/record/identity.ts';
import type { Baseline } from '../../../src/capture/record/primary.ts';

const MIB = 2 ** 20;
const calm: Baseline = {
  inputBytesPerSecond: 1e6,
  commandsPerSecond: 10_000,
  cpuShare: 0.3,
  evictedPerSecond: 0,
  turnUs: 100,
};
const memory = (usedMib: number, maxMib = 0, clientsMib = 0): Info => ({
  memory: {
    used_memory: `${usedMib * MIB}`,
    maxmemory: `${maxMib * MIB}`,
    mem_clients_normal: `${clientsMib * MIB}`,
  },
});
const finder = (
  first: Info,
  { baseline = calm, ...limits }: { baseline?: Baseline; maxCost?: number; unguarded?: boolean } = {},
) => new HarmFinder(baseline, first, { maxCost: 0.1, reserveBytes: 8 * MIB, unguarded: false, ...limits });

test('a server as it was before is not harmed', () => {
  const harm = finder(memory(50, 100));
  for (let i = 0; i < 10; i++)
    assert.equal(harm.look(memory(51, 100), { ...calm, commandsPerSecond: 9000 }), undefined);
});

test('evictions: any where there were none, many more where there were some', () => {
  assert.equal(finder(memory(99, 100)).look(memory(99, 100), { ...calm, evictedPerSecond: 1 })?.reason, 'evictions');
  const evicting = { ...calm, evictedPerSecond: 500 };
  const used = finder(memory(99, 100), { baseline: evicting });
  assert.equal(used.look(memory(99, 100), { ...calm, evictedPerSecond: 1050 }), undefined);
  assert.match(used.look(memory(99, 100), { ...calm, evictedPerSecond: 1200 })!.message, /1200 keys\/s, before it 500/);
});

test('memory: the reserve that it had when the burst began must stay', () => {
  assert.equal(finder(memory(80, 100)).look(memory(93, 100), calm)?.reason, 'memory');
  assert.equal(finder(memory(80, 100)).look(memory(91, 100), calm), undefined);
  // Full before, full now: that is how a cache works.
  assert.equal(finder(memory(99, 100)).look(memory(99.5, 100), calm), undefined);
  assert.equal(finder(memory(80)).look(memory(9000), calm), undefined);
});

test('without a watchdog the buffers of all clients count', () => {
  assert.equal(finder(memory(50), { unguarded: true }).look(memory(150, 0, 65), calm)?.reason, 'memory');
  assert.equal(finder(memory(50)).look(memory(150, 0, 65), calm), undefined);
});

test('slowness: a saturated thread that does much less, twice in a row', () => {
  const slow = { ...calm, cpuShare: 0.97, commandsPerSecond: 7000 };
  const harm = finder(memory(50));
  assert.equal(harm.look(memory(50), slow), undefined);
  assert.equal(harm.look(memory(50), calm), undefined);
  assert.equal(harm.look(memory(50), slow), undefined);
  assert.equal(harm.look(memory(50), slow)?.reason, 'slowdown');
  // Fewer commands on an idle thread are fewer that were sent.
  const idle = finder(memory(50));
  for (let i = 0; i < 5; i++) assert.equal(idle.look(memory(50), { ...calm, commandsPerSecond: 10 }), undefined);
  // Who accepts any cost accepts this.
  const accepted = finder(memory(50), { maxCost: 1 });
  for (let i = 0; i < 5; i++) assert.equal(accepted.look(memory(50), slow), undefined);
});

test('the event loop: long turns that were short before', () => {
  assert.equal(finder(memory(50)).look(memory(50), { ...calm, turnUs: 25_000 })?.reason, 'event-loop');
  assert.equal(finder(memory(50)).look(memory(50), { ...calm, turnUs: 15_000 }), undefined);
  const slowly = finder(memory(50), { baseline: { ...calm, turnUs: 10_000 } });
  assert.equal(slowly.look(memory(50), { ...calm, turnUs: 25_000 }), undefined);
});
