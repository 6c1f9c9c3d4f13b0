/** What nodes say of their cluster → addresses that can be reached, and figures of all of them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodeAddress, parseSlots } from '../../src/servers/cluster.ts';
import { sumInfo } from '../../src/servers/control/info.ts';

const asked = { host: 'seed.internal', port: 7000, tls: true, username: 'u', password: 'p' };

test('slots by node, whoever was asked, in whatever order; replicas serve none', () => {
  const reply = [
    [8192, 16_383, ['10.0.0.2', 7001, 'id2'], ['10.0.0.3', 7002, 'replica']],
    [0, 100, ['10.0.0.1', 7000, 'id1']],
    [200, 8191, ['10.0.0.1', 7000, 'id1']],
  ];
  const { nodes, owner } = parseSlots(reply, asked);
  const common = { tls: true, username: 'u', password: 'p' };
  assert.deepEqual(nodes, [
    { ...common, host: '10.0.0.1', port: 7000 },
    { ...common, host: '10.0.0.2', port: 7001 },
  ]);
  assert.deepEqual(
    [0, 100, 101, 199, 200, 8191, 8192, 16_383].map((slot) => owner[slot]),
    [0, 0, -1, -1, 0, 0, 1, 1],
  );
  assert.deepEqual(parseSlots([], asked).nodes, []);
});

test('nodes are reached where they announce themselves, beside the one that was asked, or behind a published port', () => {
  const where = (host: string, port: number, from = {}) => {
    const { host: at, port: to } = nodeAddress({ ...asked, ...from }, host, port);
    return `${at}:${to}`;
  };
  assert.equal(where('10.0.0.9', 7003), '10.0.0.9:7003');
  // What a node answers that does not know its name, and one that is told to keep it to itself.
  assert.equal(where('', 7003), 'seed.internal:7003');
  assert.equal(where('?', 7003), 'seed.internal:7003');
  assert.equal(where('2001:db8::1', 7003), '2001:db8::1:7003');
  const cluster = { reach: { '172.17.0.2:6379': { host: '127.0.0.1', port: 32_768 } } };
  assert.equal(where('172.17.0.2', 6379, { cluster }), '127.0.0.1:32768');
  assert.equal('path' in nodeAddress({ ...asked, path: '/run/redis.sock' }, '10.0.0.9', 7003), false);
});

test('amounts add, ratios do not, words stay', () => {
  assert.deepEqual(
    sumInfo([
      {
        ...{
          used_memory: '100',
          mem_fragmentation_ratio: '1.5',
          mem_allocator: 'jemalloc-5.3.0',
          maxmemory_policy: '',
        },
        ...{ cmdstat_get: 'calls=2,usec=10,usec_per_call=5.00', db0: 'keys=3,expires=0,avg_ttl=10' },
      },
      {
        ...{ used_memory: '50', mem_fragmentation_ratio: '2.5', mem_allocator: 'jemalloc-5.3.0', maxmemory_policy: '' },
        ...{
          cmdstat_get: 'calls=1,usec=7,usec_per_call=7.00',
          cmdstat_set: 'calls=1',
          db0: 'keys=4,expires=1,avg_ttl=30',
        },
      },
    ]),
    {
      ...{ used_memory: '150', mem_fragmentation_ratio: '2', mem_allocator: 'jemalloc-5.3.0', maxmemory_policy: '' },
      ...{ cmdstat_get: 'calls=3,usec=17,usec_per_call=6', cmdstat_set: 'calls=1', db0: 'keys=7,expires=1,avg_ttl=20' },
    },
  );
});
