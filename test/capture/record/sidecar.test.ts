/** The sidecar: one schema for those that ship and those that are recorded, its place, and what is counted in it. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseNodes } from '../../../src/capture/record/cluster.ts';
import { parseSections } from '../../../src/capture/record/identity.ts';
import { sidecarSchema } from '../../../src/capture/record/sidecar.ts';
import { readSidecar, sidecarPath } from '../../../src/capture/record/sidecar-file.ts';
import { completenessOf, countCommands, latencyBetween, publicInfo } from '../../../src/capture/record/snapshot.ts';
import { temporaryFile } from '../../support/capture.ts';
import { root } from '../../support/cli.ts';

test('sidecars that ship are of the schema', async () => {
  const sidecars = globSync('captures/*.capture.json', { cwd: root });
  assert.ok(sidecars.length > 0);
  for (const path of sidecars) {
    const { server, bursts } = sidecarSchema.parse(JSON.parse(readFileSync(join(root, path), 'utf8')));
    assert.equal(`${server.product} ${server.version}`, 'redis 7.0.15');
    assert.ok(bursts[0]?.before?.commandstats && bursts[0].after?.commandstats, path);
    assert.ok(await readSidecar(join(root, path.replace('.capture.json', '.monitor.gz'))));
  }
});

test('a capture knows the place of its sidecar', () => {
  assert.equal(sidecarPath('a/app.monitor.zst'), 'a/app.capture.json');
  assert.equal(sidecarPath('app.log.gz'), 'app.capture.json');
  assert.equal(sidecarPath('app.node2.monitor.gz'), 'app.node2.capture.json');
  assert.equal(sidecarPath('app'), 'app.capture.json');
});

test('a sidecar that is missing, foreign or broken is none', async () => {
  for (const content of ['{', '{}', '{"schema":"other/capture@1"}', '[]']) {
    assert.equal(
      await readSidecar(temporaryFile('x.capture.json', content).replace('.capture.json', '.log')),
      undefined,
    );
  }
  assert.equal(await readSidecar('/nowhere/x.log'), undefined);
});

const stats = (lines: Record<string, string>) => ({ commandstats: lines });

test('completeness compares lines with calls, children included, administration apart', () => {
  const seen = new Map([
    ['get', { lines: 990, children: 0 }],
    ['eval', { lines: 10, children: 0 }],
    ['incr', { lines: 0, children: 200 }],
    ['xgroup', { lines: 3, children: 0 }],
  ]);
  const before = stats({ cmdstat_get: 'calls=100,usec=50,rejected_calls=0,failed_calls=1' });
  const after = stats({
    cmdstat_get: 'calls=1100,usec=1050,rejected_calls=7,failed_calls=3',
    cmdstat_eval: 'calls=10,usec=5',
    cmdstat_incr: 'calls=200,usec=5',
    cmdstat_fcall: 'calls=500,usec=5',
    'cmdstat_xgroup|create': 'calls=2,usec=5',
    'cmdstat_xgroup|destroy': 'calls=1,usec=5',
    'cmdstat_config|get': 'calls=9999,usec=5',
  });
  const commands = countCommands(seen, before, after);
  assert.deepEqual(commands.get, { lines: 990, children: 0, calls: 1000, usec: 1000, rejected: 7, failed: 2 });
  assert.equal(commands.xgroup?.calls, 3);
  const completeness = completenessOf(commands);
  assert.equal(completeness?.share, (990 + 10 + 200 + 3) / (1000 + 10 + 200 + 500 + 3));
  assert.deepEqual(completeness?.worst, [{ command: 'fcall', lines: 0, calls: 500 }]);
});

test('without commandstats there are counts and no completeness', () => {
  const commands = countCommands(new Map([['get', { lines: 5, children: 0 }]]), undefined, undefined);
  assert.deepEqual({ ...commands }, { get: { lines: 5, children: 0 } });
  assert.equal(completenessOf(commands), undefined);
});

test('a command that is called like a property of every object is counted like any other', () => {
  const commands = countCommands(new Map([['__proto__', { lines: 5, children: 0 }]]), stats({}), stats({}));
  assert.deepEqual(Object.keys(commands), ['__proto__']);
});

test('cumulative histograms are subtracted bucket by bucket', () => {
  const before = { get: { 1: 10, 4: 15 } };
  const after = { get: { 1: 12, 2: 15, 4: 25 }, set: { 8: 3 } };
  assert.deepEqual(latencyBetween(before, after), { get: { 1: 2, 2: 3, 4: 5 }, set: { 8: 3 } });
  assert.equal(latencyBetween(undefined, after), undefined);
});

test('what tells where a server is run is left out', () => {
  const info = parseSections(
    '# Server\r\nredis_version:7.0.15\r\nexecutable:/opt/x\r\nconfig_file:/etc/y\r\nrun_id:abc\r\ntcp_port:6379\r\n\r\n# Replication\r\nrole:master\r\nslave0:ip=10.0.0.9,port=1\r\n# Keyspace\r\ndb0:keys=1,expires=0,avg_ttl=0\r\n# Other\r\nx:y\r\n',
  );
  assert.deepEqual(publicInfo(info), {
    server: { redis_version: '7.0.15' },
    replication: { role: 'master' },
    keyspace: { db0: 'keys=1,expires=0,avg_ttl=0' },
  });
});

test('the primaries of a cluster are those that own slots and answer', () => {
  const seed = { host: 'seed', port: 7000, username: 'u', password: 'p', tls: true };
  const text = `a 10.0.0.1:7000@17000 myself,master - 0 0 1 connected 0-5460
b 10.0.0.2:7000@17000,host.b master - 0 0 2 connected 5461-10922
c 10.0.0.3:7000@17000 slave a 0 0 1 connected
d 10.0.0.4:7000@17000 master,fail - 0 0 3 disconnected 10923-16383
e 10.0.0.5:7000@17000 master - 0 0 4 connected
f fe80::1:7001@17001 master,fail? - 0 0 4 connected 1 2
g :0@0 master,noaddr - 0 0 5 disconnected 3
h :7002@17002 master - 0 0 5 connected 4
`;
  const common = { username: 'u', password: 'p', tls: true };
  assert.deepEqual(parseNodes(text, seed), [
    { ...common, host: '10.0.0.1', port: 7000 },
    { ...common, host: '10.0.0.2', port: 7000 },
    { ...common, host: 'fe80::1', port: 7001 },
    { ...common, host: 'seed', port: 7002 },
  ]);
});
