/** Consumer groups that a workload makes itself: on a real server, who needs a group finds it. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { Driver } from '../../src/drive/driver.ts';
import { Synthesis } from '../../src/plan/synthesis/synthesize.ts';
import { startServer } from '../../src/servers/index.ts';
import { type Line, modelOf } from '../support/workload.ts';

const START_US = 1_700_000_000e6;
type Says = (seconds: number, client: number, ...args: string[]) => void;

/** Four streams, each made when its time comes; producers and readers are others than who makes them. */
function fewStreams(say: Says): void {
  for (let s = 0; s < 4; s++) {
    const key = `stream:${10 + s}`;
    const from = 0.1 + s * 0.7;
    say(from, 1, 'XGROUP', 'CREATE', key, 'g', '$', 'MKSTREAM');
    for (let at = from + 0.1; at < 4; at += 0.02) {
      say(at, 2, 'XADD', key, '*', 'f', 'v');
      say(at + 0.003, 3 + (s % 2), 'XREADGROUP', 'GROUP', 'g', 'r', 'COUNT', '10', 'STREAMS', key, '>');
    }
  }
}

/** A stream a job. */
function streamsOfJobs(say: Says): void {
  for (let job = 0; job < 100; job++) {
    const key = `job:${1000 + job}:log`;
    const from = 0.1 + job * 0.037;
    say(from, 1 + (job % 3), 'XGROUP', 'CREATE', key, 'readers', '0', 'MKSTREAM');
    for (let i = 0; i < 6; i++) {
      say(from + 0.01 + i * 0.02, 4 + (job % 2), 'XADD', key, '*', 'line', `${i}`);
      say(from + 0.015 + i * 0.02, 6, 'XREADGROUP', 'GROUP', 'readers', 'r', 'COUNT', '10', 'STREAMS', key, '>');
    }
  }
}

suite('groups that are made meanwhile', { concurrency: 2 }, () => {
  for (const workload of [fewStreams, streamsOfJobs])
    test(workload.name, async () => {
      const lines: Line[] = [];
      workload((seconds, client, ...args) => {
        lines.push({ atUs: START_US + Math.round(seconds * 1e6), client: `10.0.0.1:${1000 + client}`, args });
      });
      const made = lines.filter(({ args }) => args[0] === 'XGROUP').length;
      const model = await modelOf(lines.sort((a, b) => a.atUs - b.atUs));
      const synthesis = new Synthesis(model, { seed: '1', epochSeconds: Math.floor(Date.now() / 1000) });
      await using server = await startServer('process:redis-server', {});
      await using driver = await Driver.open(server.address, synthesis.plan, { client: 'raw', workers: 1 });
      const slice = synthesis.slice(0, 0, 4);
      // On one connection all is done as planned, whatever else the machine does.
      const { errors } = await driver.run({
        ...slice,
        connection: slice.connection.map(() => 0),
        durationUs: 1e6,
        intendedUs: slice.intendedUs.map(() => 0),
      });
      assert.deepEqual(errors, {});
      const { 'cmdstat_xgroup|create': create = '' } = await server.info('commandstats');
      const calls = Number(/calls=(\d+)/.exec(create)?.[1]);
      assert.ok(Math.abs(calls - made) <= Math.max(1, 0.15 * made), `${calls} groups made, ${made} captured`);
    });
});
