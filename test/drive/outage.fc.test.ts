/** A server that dies under load and comes back: every planned op ends as replied, an error, or lost, whenever it happens. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { CLIENTS, type ClientName } from '../../src/drive/clients/index.ts';
import { Driver, type SliceRecord } from '../../src/drive/driver.ts';
import type { Pacing } from '../../src/drive/thread/pacer.ts';
import { OpStatus } from '../../src/measure/latency-log.ts';
import { findBinary } from '../../src/servers/process.ts';
import { freePorts } from '../support/servers.ts';
import { sliceOf } from '../support/slice.ts';

const CONNECTIONS = 6;
const source = Buffer.from("return redis.call('INCR', KEYS[1])");
const sha1 = createHash('sha1').update(source).digest('hex');
const plan = {
  labels: [{ family: 'n:{id}', command: 'evalsha' }],
  connections: Array.from({ length: CONNECTIONS }, () => ({ db: 0 })),
  scripts: [{ kind: 'script' as const, body: source }],
};
const ways: { client: ClientName; pacing: Pacing }[] = [
  { client: 'raw', pacing: 'nap' },
  ...(Object.keys(CLIENTS) as ClientName[]).map((client) => ({ client, pacing: 'split' as const })),
];

let port: number;
let server: ChildProcess;
async function start(): Promise<void> {
  server = spawn(findBinary('redis-server')!, ['--port', `${port}`, '--bind', '127.0.0.1', '--save', ''], {
    stdio: 'ignore',
  });
  for (;;) {
    const socket = connect({ port, host: '127.0.0.1' });
    const answered = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (answered) return;
    await sleep(5);
  }
}
async function kill(): Promise<void> {
  const exit = once(server, 'exit');
  server.kill('SIGKILL');
  await exit;
}
before(async () => {
  [port] = (await freePorts(1)) as [number];
  await start();
});
after(kill);

/** By the record, and by the ops themselves. */
function assertAccounted(record: SliceRecord): void {
  const counts = new Map<number, number>();
  for (const status of record.status) counts.set(status, (counts.get(status) ?? 0) + 1);
  const of = (...statuses: number[]) => statuses.reduce((sum, status) => sum + (counts.get(status) ?? 0), 0);
  assert.equal(record.replied, of(OpStatus.replied, OpStatus.nil));
  assert.equal(record.unsent, of(OpStatus.unsent));
  assert.equal(record.lost + record.blocked, of(OpStatus.lost, OpStatus.sent));
  const errors = Object.values(record.errors).reduce((sum, count) => sum + count, 0);
  assert.equal(errors, of(OpStatus.error));
  assert.equal(record.replied + errors + record.lost + record.blocked + record.unsent, record.planned);
}

for (const way of ways) {
  test(`${Object.values(way).join(', ')}: killed and started again in mid-slice, nothing is lost from the accounts, and scripts are sent in full`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 2 }),
        fc.integer({ min: 0, max: 300 }),
        fc.integer({ min: 0, max: 150 }),
        async (workers, killAfterMs, restartAfterMs) => {
          await using driver = await Driver.open({ host: '127.0.0.1', port }, plan, { ...way, workers });
          const count = 3000;
          const slice = sliceOf(
            Array.from({ length: count }, (_, i) => ({
              args:
                i % 3 === 0
                  ? ['EVALSHA', sha1, '1', `n:${i % 10}`]
                  : i % 3 === 1
                    ? ['GET', 'n:1']
                    : ['LPUSH', 'n:1', 'x'],
              atUs: (i / count) * 0.6e6,
              connection: i % CONNECTIONS,
            })),
            0.6e6,
          );
          const running = driver.run(slice);
          await sleep(killAfterMs);
          await kill();
          await sleep(restartAfterMs);
          await start();
          const record = await running;
          assertAccounted(record);
          assert.ok(record.replied > 0 && record.errors.WRONGTYPE! > 0);
          assert.equal(record.unsent, 0, 'the server came back: everything was sent');
          assert.equal(record.errors.NOSCRIPT, undefined);
          assert.ok(record.scriptsResent > 0);
          assert.match(record.connectionLost!, /^6 of 6 connections lost/);
          for (const { connection, fromUs, untilUs } of record.outages) {
            assert.ok(untilUs > fromUs);
            for (let op = connection; op < count; op += CONNECTIONS) {
              const sentUs = record.sentUs[op]!;
              assert.ok(sentUs <= fromUs || sentUs >= untilUs, 'nothing is sent on a connection that does not stand');
              if (sentUs >= untilUs) assert.notEqual(record.status[op], OpStatus.unsent);
            }
          }
        },
      ),
      { numRuns: 2 },
    );
  });
}
