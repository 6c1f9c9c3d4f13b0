/** The command table agrees with the servers that are installed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Redis } from 'ioredis';
import { COMMANDS, keyPositions } from '../../src/capture/commands.ts';
import { startServer } from '../../src/servers/index.ts';

for (const binary of ['redis-server', 'valkey-server']) {
  test(`every command of ${binary}`, async () => {
    await using server = await startServer(`process:${binary}`, {});
    const client = new Redis({ host: server.address.host, port: server.address.port, retryStrategy: () => null });
    try {
      const infos = (await client.call('COMMAND')) as [string, number, string[], number, number, number][];
      assert.ok(infos.length > 200);
      for (const [name, , flags, first, last, step] of infos) {
        const known = COMMANDS.get(name);
        assert.ok(known, `${name} is not in the table`);
        assert.equal(known.write, flags.includes('write'), `${name} write`);
        // WAIT is flagged by Redis only; it is never replayed.
        if (name !== 'wait' && name !== 'waitaof')
          assert.equal(known.blocking, flags.includes('blocking'), `${name} blocking`);
        if (first === 0 || flags.includes('movablekeys')) continue;
        const count = 12;
        const expected: number[] = [];
        for (let i = first; i <= (last < 0 ? count + last : last); i += step) expected.push(i);
        const found = keyPositions(known, count, (i) => `argument${i}`).map(({ index }) => index);
        // A key that comes after the range (BITOP's sources, COPY's destination) only adds.
        assert.deepEqual(
          found.slice(0, expected.length).sort((a, b) => a - b),
          expected,
          name,
        );
      }
    } finally {
      client.disconnect();
    }
  });
}
