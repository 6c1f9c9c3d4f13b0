/** INFO as one line of a series: figures only, nothing that a server could use to break out of the line. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keyCount } from '../../src/measure/server-memory.ts';
import { readServerSamples, serverSampleLine } from '../../src/measure/server-samples.ts';

test('figures under their names; what is missing or no number is left out', () => {
  const info = {
    ...{ used_memory: '100', used_memory_rss: '200', allocator_active: 'x', mem_clients_normal: '5' },
    ...{ used_memory_vm_total: '7', used_memory_lua: '3', keyspace_hits: '12', evicted_keys: 'many\n{', version: '1' },
    ...{ db0: 'keys=3,expires=1,avg_ttl=0', db12: 'keys=40,expires=0' },
  };
  const line = serverSampleLine(info, 1_700_000_000_123);
  assert.equal(line.indexOf('\n'), line.length - 1);
  const sample = JSON.parse(line);
  assert.equal(sample.atMs, 1_700_000_000_123);
  assert.equal(sample.keys, 43);
  assert.deepEqual([sample.usedBytes, sample.rssBytes, sample.activeBytes], [100, 200, 0]);
  assert.deepEqual([sample.scriptBytes, sample.clientBytes, sample.keyspace_hits], [7, 5, 12]);
  assert.ok(!('evicted_keys' in sample) && !('expired_keys' in sample) && !('version' in sample));
});

test('keys of no database are none', () => {
  assert.equal(keyCount({}), 0);
  assert.equal(keyCount({ db0: 'garbage' }), 0);
});

test('what was written is read; a line that is cut or no sample is refused', () => {
  const lines = [1000, 2000].map((atMs) => serverSampleLine({ used_memory_rss: '7', used_cpu_sys: '1.5' }, atMs));
  assert.deepEqual(
    readServerSamples(lines.join('')),
    [1000, 2000].map((atMs) => ({ atMs, rssBytes: 7, used_cpu_sys: 1.5 })),
  );
  assert.throws(() => readServerSamples(lines.join('').slice(0, -5)));
  assert.throws(() => readServerSamples('{"atMs":1}\n'));
});
