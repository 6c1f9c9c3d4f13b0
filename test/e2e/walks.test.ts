/** Walks of SCAN and the like on real servers: each step carries what the server answered to the one before, and all is found once. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Redis } from 'ioredis';
import { CLIENTS, type ClientName } from '../../src/drive/clients/index.ts';
import { Driver, type DriverOptions } from '../../src/drive/driver.ts';
import { buildModel } from '../../src/model/build.ts';
import { capturedRateOf, openWorkload } from '../../src/plan/mode.ts';
import { readCommand } from '../../src/plan/planned-ops.ts';
import type { Workload } from '../../src/plan/workload.ts';
import { processProvider } from '../../src/servers/process.ts';
import type { RunningServer } from '../../src/servers/server.ts';
import { temporaryFile } from '../support/capture.ts';
import { startProxy } from '../support/proxy.ts';
import { PRODUCTS } from '../support/servers.ts';
import { type Line, monitorLine } from '../support/workload.ts';

/** Of each kind; hashed by the server, not packed. */
const ELEMENTS = 1000;
const STEPS = 60;
const names = (prefix: string) => Array.from({ length: ELEMENTS }, (_, i) => `${prefix}:${i}`);

interface Exchange {
  connection: number;
  command: string;
  /** The key, or none. */
  over: string;
  cursor: string;
  next: string;
  found: string[];
}

/** What went over a server's connections, calls of SCAN and the like only. */
interface Tap extends AsyncDisposable {
  port: number;
  exchanges: Exchange[];
}

async function startTap(target: { host: string; port: number }): Promise<Tap> {
  const exchanges: Exchange[] = [];
  const proxy = await startProxy({
    target,
    onExchange: (connection, bytes, reply) => {
      const [command, ...args] = readCommand(bytes, 0).map((arg) => Buffer.from(arg).toString());
      if (!/^[hsz]?scan$/.test(command!)) return;
      const [next, ...found] = [...reply.toString().matchAll(/\$\d+\r\n([^\r]*)\r\n/g)].map(([, text]) => text!);
      const over = command === 'scan' ? '' : args.shift()!;
      exchanges.push({ connection, command: command!, over, cursor: args[0]!, next: next!, found });
    },
  });
  return { ...proxy, exchanges };
}

/** Walks that somebody else's server answered, each step 10 ms after the one before; `pooled` ones change the connection. */
function captured(): Line[] {
  const T0 = 1_700_000_000e6;
  const walks = [
    { command: ['scan'], rest: ['MATCH', 'k:*', 'COUNT', '50'], clients: ['10.0.0.1:1'] },
    { command: ['hscan', 'h'], rest: ['COUNT', '50'], clients: ['10.0.0.2:1'] },
    { command: ['sscan', 's'], rest: ['COUNT', '50'], clients: ['10.0.0.3:1'] },
    { command: ['zscan', 'z'], rest: ['COUNT', '50'], clients: ['10.0.0.4:1', '10.0.0.5:1'] },
  ];
  const lines = walks.flatMap(({ command, rest, clients }, w) =>
    Array.from({ length: STEPS }, (_, i) => ({
      atUs: T0 + i * 10_000 + w * 1000,
      client: clients[i % clients.length]!,
      args: [...command, i === 0 ? '0' : String(0x20_0000 + i), ...rest],
    })),
  );
  return [...lines, { atUs: T0 + STEPS * 10_000 + 50_000, client: '10.0.0.1:1', args: ['ping'] }].sort(
    (a, b) => a.atUs - b.atUs,
  );
}

async function workloadOf(mode: 'exact' | 'modelled'): Promise<Workload> {
  const source = temporaryFile('capture.log', `OK\n${captured().map(monitorLine).join('')}`);
  const { model, captured: keys } = await buildModel(source, { keepKeys: true });
  const seconds = STEPS * 0.01 + 0.01;
  return openWorkload({
    ...{ mode, keys: undefined, source, seed: '1', epochSeconds: 1_800_000_000, replica: false },
    ...{ model, captured: keys, rate: capturedRateOf(mode, model), seconds },
  });
}

/**
 * Each step asks for what the reply before told, but for those that left before it came; from one beginning to the end the
 * walk finds everything. Returns how many walks came to their end.
 */
function assertWalks(exchanges: Exchange[], expected: string[], ahead: number): number {
  let known = '0';
  let out = 0;
  let ended = 0;
  let found = new Set<string>();
  for (const { cursor, next, found: page } of exchanges) {
    if (BigInt(cursor) !== BigInt(known)) out++;
    if (BigInt(cursor) === 0n) found = new Set();
    for (const element of page) found.add(element);
    known = next;
    if (next !== '0') continue;
    ended++;
    if (out === 0)
      assert.deepEqual(
        expected.filter((element) => !found.has(element)),
        [],
      );
  }
  assert.ok(out <= ahead, `${out} steps with another cursor, ${ahead} said to be ahead`);
  return ended;
}

for (const product of PRODUCTS) {
  describe(product, () => {
    let server: RunningServer;
    before(async () => {
      server = await processProvider.start(`process:${product}-server`, {});
      const client = new Redis(server.address.port);
      const fill = client.pipeline();
      for (const [i, key] of names('k').entries()) {
        fill.set(key, 'x').hset('h', `f:${i}`, 'x').sadd('s', `m:${i}`).zadd('z', i, `m:${i}`);
      }
      await fill.exec();
      client.disconnect();
    });
    after(() => server[Symbol.asyncDispose]());

    async function drive(workload: Workload, options: Partial<DriverOptions>, slices = 1) {
      const { host, port } = server.address;
      await using tap = await startTap({ host, port });
      await using driver = await Driver.open({ ...server.address, port: tap.port }, workload.plan, {
        ...{ client: 'raw', workers: 2 },
        ...options,
      });
      const sum = { steps: 0, ahead: 0, ended: 0 };
      const seconds = (STEPS * 0.01 + 0.01) / slices;
      for (let i = 0; i < slices; i++) {
        const { planned, replied, walks } = await driver.run(workload.slice(0, i * seconds, seconds));
        assert.equal(replied, planned);
        for (const name of ['steps', 'ahead', 'ended'] as const) sum[name] += walks![name];
      }
      return { exchanges: tap.exchanges, ...sum };
    }

    const OVER = [
      { command: 'scan', expected: names('k') },
      { command: 'hscan', expected: names('f') },
      { command: 'sscan', expected: names('m') },
      { command: 'zscan', expected: names('m') },
    ];

    const ways: Partial<DriverOptions>[] = [
      ...(Object.keys(CLIENTS) as ClientName[]).map((client) => ({ client })),
      { pacing: 'nap' },
      { protocol: 3 },
    ];
    for (const way of ways) {
      test(`exact, ${JSON.stringify(way)}: every walk finds everything, and ends`, async () => {
        const { exchanges, steps, ahead, ended } = await drive(await workloadOf('exact'), way);
        assert.equal(steps, 4 * (STEPS - 1));
        let ends = 0;
        for (const { command, expected } of OVER) {
          const own = exchanges.filter((exchange) => exchange.command === command);
          assert.equal(own.length, STEPS);
          assert.equal(own[0]!.cursor, '0');
          const ofThis = assertWalks(own, expected, ahead);
          assert.ok(ofThis >= 1, `${command} came to no end`);
          ends += ofThis;
        }
        assert.equal(ended, ends);
      });
    }

    test('a walk goes on in the next slice', async () => {
      const { exchanges, ahead } = await drive(await workloadOf('exact'), {}, 5);
      for (const { command, expected } of OVER) {
        const own = exchanges.filter((exchange) => exchange.command === command);
        assert.ok(assertWalks(own, expected, ahead) >= 1);
      }
    });

    test('modelled: steps carry what the server answered, on whichever connection', async () => {
      const { exchanges, ahead, ended, steps } = await drive(await workloadOf('modelled'), {});
      assert.ok(steps > STEPS);
      let ends = 0;
      for (const { command, expected } of OVER) {
        const walkers = Map.groupBy(
          exchanges.filter((exchange) => exchange.command === command),
          ({ connection, over }) => (command === 'scan' ? connection : over),
        );
        for (const own of walkers.values()) ends += assertWalks(own, expected, ahead);
      }
      assert.ok(ends >= 4, `${ends}`);
      assert.equal(ended, ends);
    });
  });
}
