/** `cutover capture` on loaded servers: refused by prediction; and ended from outside before it does harm. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { readSidecar } from '../../src/capture/record/sidecar-file.ts';
import { cutover } from '../support/cli.ts';
import { type ForeignServer, PRODUCTS, startForeignServer } from '../support/servers.ts';

const CONNECTIONS = 50;
const VALUE_BYTES = 1000;
/** Few enough to leave the server's memory alone. */
const KEYS = 5000;
/** Room for the dataset and the buffers of clients, and far less than what MONITOR would pile up in STOPPED_MS. */
const MAXMEMORY = 96 * 2 ** 20;
const STOPPED_MS = 20_000;

/** Closed loops of SETs until disposed. */
function load(port: number): Disposable & { sets: number } {
  const value = 'v'.repeat(VALUE_BYTES);
  let stopped = false;
  const running = {
    sets: 0,
    [Symbol.dispose]() {
      stopped = true;
      for (const socket of sockets) socket.destroy();
    },
  };
  const sockets: Socket[] = Array.from({ length: CONNECTIONS }, (_, i) => {
    const socket = connect(port, '127.0.0.1');
    let n = i;
    const send = () => {
      n = (n + CONNECTIONS) % KEYS;
      const key = `load:${n}`;
      socket.write(`*3\r\n$3\r\nSET\r\n$${key.length}\r\n${key}\r\n$${VALUE_BYTES}\r\n${value}\r\n`);
    };
    socket.on('connect', send);
    socket.on('data', () => {
      running.sets++;
      if (!stopped) send();
    });
    socket.on('error', () => {});
    return socket;
  });
  return running;
}

const monitors = (server: ForeignServer) =>
  server
    .cli('CLIENT', 'LIST')
    .split('\n')
    .filter((line) => / flags=\S*O/.test(line)).length;
const evicted = (server: ForeignServer) => Number(/evicted_keys:(\d+)/.exec(server.cli('INFO', 'stats'))![1]);

suite('under load', { concurrency: true }, () => {
  for (const product of PRODUCTS) {
    test(`${product}: refused by prediction; a reader that is stopped costs no key`, async () => {
      const folder = mkdtempSync(join(tmpdir(), 'cutover-capture-'));
      using server = await startForeignServer(
        product,
        '--maxmemory',
        `${MAXMEMORY}`,
        '--maxmemory-policy',
        'allkeys-lru',
      );
      const configBefore = server.cli('CONFIG', 'GET', '*');
      using running = load(server.port);
      const url = `redis://127.0.0.1:${server.port}`;
      const common = ['capture', url, '--min-free', '1mb', '--sample', '100'];
      try {
        const refused = await cutover([...common, '-o', join(folder, 'refused')]);
        assert.equal(refused.code, 3, refused.stderr);
        assert.match(refused.stderr, /MONITOR would take \d+ % of the main thread .* more than 10 %/);
        assert.match(refused.stderr, /--max-cost \d+%/);
        assert.equal(monitors(server), 0);

        const file = join(folder, 'stopped');
        const capture = cutover([...common, '-o', file, '--max-cost', '100%', '--for', '60s', '--json']);
        while (monitors(server) === 0) await sleep(20);
        capture.child.kill('SIGSTOP');
        try {
          const stoppedAtMs = performance.now();
          const setsBefore = running.sets;
          while (monitors(server) > 0) {
            assert.ok(performance.now() - stoppedAtMs < STOPPED_MS, 'nobody ended MONITOR');
            await sleep(20);
          }
          // What MONITOR would have piled up by then is more than the memory that is left.
          while (performance.now() - stoppedAtMs < STOPPED_MS) await sleep(100);
          assert.ok((running.sets - setsBefore) * VALUE_BYTES > MAXMEMORY);
          assert.equal(evicted(server), 0);
        } finally {
          capture.child.kill('SIGCONT');
        }
        const { code, stdout, stderr } = await capture;
        assert.equal(code, 0, stderr);
        const { end, files, caveats } = JSON.parse(stdout);
        assert.equal(end.reason, 'watchdog', stdout);
        assert.match(caveats[0].message, /ended early: the watchdog ended it/);
        assert.ok(files[0].lines > 0);
        assert.equal((await readSidecar(`${file}.monitor.zst`))?.bursts[0]?.ended, 'watchdog');
        assert.ok(readFileSync(`${file}.monitor.zst`).length > 0);
        assert.equal(evicted(server), 0);
        assert.equal(server.cli('CONFIG', 'GET', '*'), configBefore);
      } finally {
        rmSync(folder, { recursive: true });
      }
    });
  }
});
