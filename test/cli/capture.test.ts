/** `cutover capture` on real servers: what is sent is what is recorded; and every refusal says what to do. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { Sidecar } from '../../src/capture/record/sidecar.ts';
import { readAll } from '../support/capture.ts';
import { cutover, type Running, root } from '../support/cli.ts';
import { type ForeignServer, freePorts, PRODUCTS, startForeignServer } from '../support/servers.ts';

const folder = mkdtempSync(join(tmpdir(), 'cutover-capture-'));
after(() => rmSync(folder, { recursive: true }));

const capture = (url: string, name: string, args: string[] = [], env: Record<string, string> = {}) =>
  cutover(['capture', ...(url ? [url] : []), '-o', join(folder, name), '--min-free', '1mb', ...args], { env });
const sidecarOf = (name: string): Sidecar => JSON.parse(readFileSync(join(folder, `${name}.capture.json`), 'utf8'));
const isMonitored = (server: ForeignServer) => / flags=\S*O/.test(server.cli('CLIENT', 'LIST'));

/** Resolves when a burst is under way, and stays so for longer than this test looks. */
async function untilMonitored(server: ForeignServer, running: Running): Promise<void> {
  let ended = false;
  void running.then(() => {
    ended = true;
  });
  // The burst begins a little after the first connection of its kind, which only tries whether it may.
  for (let seen = 0; seen < 5; seen = isMonitored(server) ? seen + 1 : 0) {
    if (ended) throw new Error((await running).stderr);
    await sleep(50);
  }
}

// Most of the time goes by in waiting: two seconds before each burst to see the traffic.
suite('cutover capture', { concurrency: 3 }, () => {
  for (const product of PRODUCTS) {
    test(`${product}: commands sent are ops read, and the sidecar has counted them all`, async () => {
      using server = await startForeignServer(product);
      for (let i = 0; i < 30; i++) server.cli('SET', `old:${i}`, 'x'.repeat(i), 'EX', '1000');
      server.cli('HSET', 'old:hash', 'field', 'value');
      const running = capture(`redis://127.0.0.1:${server.port}`, product, ['--for', '60s', '--values', 'keep']);
      await untilMonitored(server, running);
      const sent: Buffer[][] = [];
      const client = new Redis(server.port, { protocol: 2, disableClientInfo: true, enableReadyCheck: false });
      for (let i = 0; i < 400; i++) {
        const value = Buffer.from(Array.from({ length: i % 50 }, (_, n) => (i * 31 + n * 7) & 0xff));
        sent.push([Buffer.from('SET'), Buffer.from(`key:${i}`), value]);
        sent.push([Buffer.from('GET'), Buffer.from(`key:${i}`)]);
      }
      sent.push(['EVAL', "return redis.call('INCR', KEYS[1])", '1', 'counter'].map((word) => Buffer.from(word)));
      const address = /addr=(\S+)/.exec((await client.client('INFO')) as string)![1]!;
      for (const [command, ...args] of sent) await client.call(command!.toString(), ...args);
      client.disconnect();
      running.child.kill('SIGINT');
      const { code, stdout, stderr } = await running;
      assert.equal(code, 130, stderr);
      assert.match(stdout, /complete: 100 % of the commands/);
      assert.match(stdout, /Next: cutover model/);

      const { ops, capture: read } = await readAll(join(folder, `${product}.monitor.zst`));
      assert.ok(read);
      const own = ops.filter(
        ({ client: source, args }) => source === address && !/^client$/i.test(args[0]!.toString()),
      );
      assert.deepEqual(
        own.map(({ args }) => args),
        sent,
      );
      assert.deepEqual(
        ops.filter(({ kind }) => kind === 'script-child').map(({ args }) => args.map(String)),
        [['INCR', 'counter']],
      );
      // Nothing of what the recorder itself asked.
      assert.ok(ops.every(({ args }) => !/^info$/i.test(args[0]!.toString())));

      const sidecar = sidecarOf(product);
      const [burst] = sidecar.bursts;
      assert.equal(sidecar.server.product, product);
      assert.equal(burst?.ended, 'interrupted');
      assert.deepEqual(burst?.completeness, { share: 1, worst: [] });
      assert.deepEqual([burst?.commands?.set?.lines, burst?.commands?.set?.calls], [400, 400]);
      assert.deepEqual([burst?.commands?.incr?.children, burst?.commands?.incr?.calls], [1, 1]);
      assert.equal(burst?.lines, ops.length);
      assert.ok(burst?.before?.memory?.used_memory && burst.after?.stats?.total_commands_processed);
      assert.equal(sidecar.config?.['maxmemory-policy'], 'noeviction');
      assert.equal(sidecar.config?.requirepass, undefined);
      assert.equal(sidecar.dataset?.sampled.length, 31);
      assert.equal(sidecar.dataset?.complete, true);
      const sampled = new Map(sidecar.dataset?.sampled.map((key) => [key.key, key]));
      const string = sampled.get('old:29')!;
      assert.deepEqual([string.type, string.length, string.encoding], ['string', 29, 'embstr']);
      assert.ok(string.pttlMs > 0 && string.pttlMs <= 1_000_000);
      assert.deepEqual(sampled.get('old:hash')?.elementBytes, [5, 5]);
      // Both files may hold what is in the server: only their owner reads them.
      for (const ending of ['monitor.zst', 'capture.json']) {
        assert.equal(statSync(join(folder, `${product}.${ending}`)).mode & 0o077, 0);
      }
    });
  }

  test('bursts go into one file, which is redacted by default; keys are hashed alike in log and sidecar', async () => {
    using server = await startForeignServer('valkey');
    server.cli('SET', 'session:alice', 'topsecretvalue');
    const running = capture(`valkey://127.0.0.1:${server.port}`, 'bursts', [
      ...['--for', '1s', '--every', '3s', '--times', '2', '--json'],
      ...['--keys', 'hash', '--key-file', join(folder, 'local.key')],
    ]);
    let ended = false;
    void running.then(() => {
      ended = true;
    });
    while (!ended) {
      server.cli('SET', 'session:alice', 'topsecretvalue');
      await sleep(20);
    }
    const { code, stdout, stderr } = await running;
    assert.equal(code, 0, stderr);
    const result = JSON.parse(stdout);
    assert.equal(result.schema, 'cutover/captured@1');
    assert.equal(result.bursts, 2);
    assert.equal(result.end.reason, 'time');
    const { ops } = await readAll(join(folder, 'bursts.monitor.zst'));
    const sets = ops.filter(({ args }) => args[0]!.toString() === 'SET').map(({ args }) => args.map(String));
    assert.ok(sets.length > 10);
    for (const [, key, value] of sets) {
      assert.match(key!, /^[a-z]{7}:[a-z]{5}$/);
      assert.match(value!, /^[A-Za-z]{14}$/);
      assert.notEqual(key, 'session:alice');
    }
    const sidecar = sidecarOf('bursts');
    assert.equal(sidecar.bursts.length, 2);
    assert.equal(sidecar.dataset?.sampled[0]?.key, sets[0]![1]);
    const gapUs = ops.slice(1).map(({ atUs }, i) => atUs - ops[i]!.atUs);
    assert.ok(Math.max(...gapUs) > 1e6, 'one file holds both bursts');
    for (const file of readdirSync(folder)) {
      if (file.startsWith('bursts')) assert.doesNotMatch(readFileSync(join(folder, file), 'latin1'), /alice|topsecret/);
    }
    assert.equal(statSync(join(folder, 'local.key')).mode & 0o077, 0);
  });

  test('TLS, a Unix socket, gzip and plain text', async () => {
    using server = await startForeignServer('redis');
    const authority = join(folder, 'ca.pem');
    writeFileSync(authority, server.certificate);
    const tls = capture(`rediss://127.0.0.1:${server.tlsPort}`, 'tls.monitor.gz', ['--for', '60s'], {
      NODE_EXTRA_CA_CERTS: authority,
    });
    await untilMonitored(server, tls);
    server.cli('SET', 'a', 'b');
    tls.child.kill('SIGTERM');
    assert.equal((await tls).code, 130, (await tls).stderr);
    assert.equal(readFileSync(join(folder, 'tls.monitor.gz')).readUInt16BE(0), 0x1f8b);
    assert.deepEqual(
      (await readAll(join(folder, 'tls.monitor.gz'))).ops.map(({ args }) => String(args[0])),
      ['SET'],
    );

    const unix = capture(`unix:${server.socket}`, 'unix.log', ['--for', '60s']);
    await untilMonitored(server, unix);
    server.cli('SET', 'a', 'b');
    await sleep(300);
    unix.child.kill('SIGINT');
    assert.equal((await unix).code, 130, (await unix).stderr);
    assert.match(
      readFileSync(join(folder, 'unix.log'), 'utf8'),
      /^OK\n[\s\S]*\[0 unix:[^\]]+\] "SET" "a" "[A-Za-z]"\n/,
    );
  });

  test('of a cluster every primary is recorded, each into a file of its own', async () => {
    const [busA, busB] = await freePorts(2);
    using a = await startForeignServer('valkey', '--cluster-enabled', 'yes', '--cluster-port', `${busA}`);
    using b = await startForeignServer('valkey', '--cluster-enabled', 'yes', '--cluster-port', `${busB}`);
    a.cli('CLUSTER', 'ADDSLOTSRANGE', '0', '8191');
    b.cli('CLUSTER', 'ADDSLOTSRANGE', '8192', '16383');
    a.cli('CLUSTER', 'MEET', '127.0.0.1', `${b.port}`, `${busB}`);
    while (!/cluster_state:ok[\s\S]*cluster_known_nodes:2/.test(a.cli('CLUSTER', 'INFO'))) await sleep(50);
    while (!/cluster_state:ok/.test(b.cli('CLUSTER', 'INFO'))) await sleep(50);
    const running = capture(`valkey://127.0.0.1:${a.port}`, 'cluster', ['--for', '60s']);
    await untilMonitored(a, running);
    await untilMonitored(b, running);
    a.cli('SET', 'bar', 'x'); // slot 5061
    b.cli('SET', 'foo', 'x'); // slot 12182
    running.child.kill('SIGINT');
    const { code, stdout, stderr } = await running;
    assert.equal(code, 130, stderr);
    assert.match(stdout, /cluster\.node1\.monitor\.zst[\s\S]*cluster\.node2\.monitor\.zst/);
    const keys: string[] = [];
    for (const node of [1, 2]) {
      const { ops } = await readAll(join(folder, `cluster.node${node}.monitor.zst`));
      keys.push(...ops.filter(({ args }) => String(args[0]) === 'SET').map(({ args }) => String(args[1])));
      assert.equal(sidecarOf(`cluster.node${node}`).bursts.length, 1);
    }
    assert.deepEqual(keys.sort(), ['bar', 'foo']);
  });

  test('users without the rights are told what they lack, and no password is ever printed', async () => {
    using server = await startForeignServer('redis');
    server.cli('ACL', 'SETUSER', 'deaf', 'on', '>s3cret-s3cret', '~*', '+@all', '-monitor');
    server.cli('ACL', 'SETUSER', 'mild', 'on', '>s3cret-s3cret', '~*', '+monitor', '+info');
    server.cli('ACL', 'SETUSER', 'blind', 'on', '>s3cret-s3cret', '~*', '+monitor', '+client');
    const as = (user: string, ...args: string[]) =>
      capture('', `acl-${user}`, ['--for', '1s', ...args], {
        CUTOVER_CAPTURE: `redis://${user}:s3cret-s3cret@127.0.0.1:${server.port}`,
      });
    for (const [user, code, message, advice] of [
      ['deaf', 3, /may not run MONITOR/, /ACL SETUSER NAME \+monitor/],
      ['mild', 3, /nothing could end MONITOR from outside: NOPERM/, /\+client\|kill[\s\S]*--unguarded/],
      ['blind', 3, /does not answer INFO/, /\+info[\s\S]*--max-cost 100%/],
      ['nobody', 3, /refused the user or the password/, /redis-cli/],
    ] as const) {
      const { code: actual, stdout, stderr } = await as(user);
      assert.equal(actual, code, stderr);
      assert.match(stderr, message);
      assert.match(stderr, advice);
      assert.doesNotMatch(stdout + stderr, /s3cret/);
    }
    const mild = await as('mild', '--unguarded', '--json');
    assert.equal(mild.code, 0, mild.stderr);
    const { caveats, files } = JSON.parse(mild.stdout);
    assert.ok(caveats.some(({ id }: { id: string }) => id === 'capture-unguarded'));
    assert.ok(existsSync(files[0].path));
    const blind = await as('blind', '--max-cost', '100%');
    assert.equal(blind.code, 0, blind.stderr);
    assert.match(blind.stdout, /The dataset .* could not be looked at/);
    assert.equal(server.cli('CONFIG', 'GET', 'client-output-buffer-limit').includes('normal 0 0 0'), true);
  });

  test('the rights that the documentation names are enough', async () => {
    const page = readFileSync(join(root, 'docs/capturing.md'), 'utf8');
    const [, rule] = /ACL SETUSER capture on >PASSWORD ([\s\S]*?)\n\n/.exec(page)!;
    using server = await startForeignServer('redis');
    server.cli('ACL', 'SETUSER', 'capture', 'on', '>PASSWORD', ...rule!.split(/[\s\\]+/));
    server.cli('SET', 'a', 'b');
    const { code, stdout, stderr } = await capture(`redis://capture:PASSWORD@127.0.0.1:${server.port}`, 'documented', [
      '--for',
      '1s',
      '--json',
    ]);
    assert.equal(code, 0, stderr);
    assert.deepEqual(
      JSON.parse(stdout).caveats.map(({ id }: { id: string }) => id),
      ['capture-empty'],
    );
    const { bursts, ...sidecar } = sidecarOf('documented');
    assert.deepEqual(Object.keys(sidecar).sort(), [
      ...['config', 'connections', 'dataset', 'recordedAt', 'redaction', 'schema', 'server'],
    ]);
    assert.ok(bursts[0]?.before && bursts[0].after && bursts[0].latency);
    // No right of those is missing: the server counts every refusal.
    assert.doesNotMatch(server.cli('INFO', 'errorstats'), /NOPERM/);
  });

  test('the capture ends when its watchdog is gone', async () => {
    using server = await startForeignServer('valkey');
    const running = capture(`valkey://127.0.0.1:${server.port}`, 'watchdog', ['--for', '60s', '--json']);
    await untilMonitored(server, running);
    const { pid } = running.child;
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number);
    const watchdog = children.find((child) => readFileSync(`/proc/${child}/cmdline`, 'utf8').includes('watchdog'));
    assert.ok(watchdog);
    // It is deaf to what the terminal sends, and no credential is in its command line or environment.
    assert.notEqual(readFileSync(`/proc/${watchdog}/stat`, 'utf8').split(' ')[5], `${pid}`);
    process.kill(watchdog, 'SIGKILL');
    const { code, stdout, stderr } = await running;
    assert.equal(code, 0, stderr);
    assert.equal(JSON.parse(stdout).end.reason, 'watchdog');
    assert.match(JSON.parse(stdout).end.message, /the watchdog is gone \(it was ended by SIGKILL\)/);
    assert.equal(isMonitored(server), false);
  });

  test('when the reader is killed, its watchdog and MONITOR go with it', async () => {
    using server = await startForeignServer('redis', '--requirepass', 's3cret-s3cret');
    const url = `redis://:s3cret-s3cret@127.0.0.1:${server.port}`;
    const clients = () => server.cli('-a', 's3cret-s3cret', '--no-auth-warning', 'CLIENT', 'LIST');
    const running = capture('', 'killed', ['--for', '60s'], { CUTOVER_CAPTURE: url });
    while (!/ flags=\S*O/.test(clients())) await sleep(50);
    await sleep(500);
    const { pid } = running.child;
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean);
    assert.equal(children.length, 1);
    for (const file of ['cmdline', 'environ']) {
      assert.doesNotMatch(readFileSync(`/proc/${children[0]}/${file}`, 'latin1'), /s3cret/);
    }
    running.child.kill('SIGKILL');
    await running;
    while (/ flags=\S*O/.test(clients()) || existsSync(`/proc/${children[0]}`)) await sleep(50);
  });

  test('a replica is refused, with the address of its primary', async () => {
    using primary = await startForeignServer('redis');
    using replica = await startForeignServer('redis', '--replicaof', '127.0.0.1', `${primary.port}`);
    const { code, stderr } = await capture(`redis://127.0.0.1:${replica.port}`, 'replica');
    assert.equal(code, 3);
    assert.match(stderr, new RegExp(`is a replica of 127\\.0\\.0\\.1:${primary.port}`));
    assert.match(stderr, /--replica-capture/);
  });

  test('what is wrong with the command line or the disk is said before anything is asked of the server', async () => {
    const url = 'redis://127.0.0.1:1';
    for (const [args, code, message] of [
      [[], 2, /No URL is given/],
      [['http://x'], 2, /http:\/\/x:6379 is no address/],
      [[url, '--max-cost', '0'], 2, /--max-cost 0 is no share/],
      [[url, '--times', '2', '--every', '1s', '--for', '2s'], 2, /--every is shorter than --for/],
      [[url], 3, /nothing listens there/],
    ] as const) {
      const { code: actual, stderr } = await cutover(['capture', ...args]);
      assert.equal(actual, code, stderr);
      assert.match(stderr, message);
    }
    using server = await startForeignServer('redis');
    const live = `redis://127.0.0.1:${server.port}`;
    writeFileSync(join(folder, 'taken.monitor.zst'), '');
    const taken = await capture(live, 'taken');
    assert.equal(taken.code, 2);
    assert.match(taken.stderr, /taken\.monitor\.zst is there already/);
    const room = await cutover(['capture', live, '-o', join(folder, 'room'), '--min-free', '1000000gb']);
    assert.equal(room.code, 3);
    assert.match(room.stderr, /MiB are free/);
    const nowhere = await cutover(['capture', live, '-o', join(folder, 'none/x')]);
    assert.equal(nowhere.code, 2);
    assert.match(nowhere.stderr, /There is no folder/);
  });
});
