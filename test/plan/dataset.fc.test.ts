/** The books of a dataset hold what a server that executes its commands holds, key by key. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Preload } from '../../src/plan/plan.ts';
import { readCommand } from '../../src/plan/planned-ops.ts';
import { type Contents, creation } from '../../src/plan/preload/contents.ts';
import { Dataset, type Traffic } from '../../src/plan/preload/dataset.ts';
import { Sampler, stream } from '../../src/plan/random.ts';
import { RespWriter } from '../../src/plan/resp.ts';

const TYPES = ['string', 'integer', 'hash', 'list', 'set', 'zset', 'stream', 'hyperloglog'] as const;

/** What a server would hold: per key its type's command, its payload and whether it has an expiry. */
type Held = Map<string, { word: string; payload: number; ttl: string | undefined }>;

function execute(held: Held, db: number, bytes: Uint8Array): number {
  let commands = 0;
  for (let at = 0; at < bytes.length; commands++) {
    const command = readCommand(bytes, at);
    const last = command.at(-1)!;
    at = last.byteOffset - bytes.byteOffset + last.length + 2;
    const [word, name, ...values] = command.map((argument) => Buffer.from(argument).toString('latin1'));
    const key = `${db} ${name}`;
    const length = (some: string[]) => some.reduce((sum, value) => sum + value.length, 0);
    if (word === 'del') held.delete(key);
    else if (word === 'expire') held.get(key)!.ttl = values[0];
    else if (word === 'set') {
      held.set(key, { word, payload: name!.length + values[0]!.length, ttl: values[2] });
    } else {
      const known = held.get(key) ?? { word: word!, payload: name!.length, ttl: undefined };
      assert.equal(known.word, word, 'a collection is made anew, with its own type');
      known.payload += length(values);
      held.set(key, known);
    }
  }
  return commands;
}

const preloads = fc
  .record({
    seed: fc.string({ maxLength: 4 }),
    databases: fc.array(
      fc.array(
        fc.record({
          type: fc.constantFrom(...TYPES),
          bytes: fc.integer({ min: 0, max: 200 }),
          ttl: fc.boolean(),
          named: fc.boolean(),
        }),
        { maxLength: 12 },
      ),
      { maxLength: 3 },
    ),
  })
  .map(({ seed, databases }): Preload => {
    const preload: Preload = { commands: 0, keys: 0, logicalBytes: 0, databases: [] };
    databases.forEach((keys, db) => {
      const writer = new RespWriter();
      let commands = 0;
      keys.forEach(({ type, bytes, ttl, named }, i) => {
        const contents: Contents = {
          type,
          valueBytes: new Sampler([[bytes, 1]], bytes),
          ttlSeconds: ttl ? new Sampler([[60, 1]], 60) : undefined,
          elements: named
            ? new Map([
                ['name', false],
                ['visits', true],
              ])
            : new Map(),
        };
        for (const command of creation(`k\xff\r\n${i}`, contents, stream(seed, db, i))) {
          writer.begin(command.length);
          for (const argument of command) writer.text(argument);
          commands++;
        }
        preload.keys++;
      });
      preload.databases.push({ db, commands, chunks: () => [writer.view()] });
    });
    return preload;
  });

test('after every step the books hold what a server holds', () => {
  fc.assert(
    fc.property(preloads, fc.integer({ min: 1, max: 3 }), (preload, copies) => {
      const dataset = new Dataset(preload, copies, 'seed');
      const held: Held = new Map();
      const step = (traffic: Traffic) => {
        for (const { db, bytes, commands } of traffic) assert.equal(execute(held, db, bytes), commands);
        assert.equal(dataset.keys, held.size);
        assert.equal(
          dataset.logicalBytes,
          [...held.values()].reduce((sum, { payload }) => sum + payload, 0),
        );
        for (const { ttl } of held.values()) assert.ok(ttl === undefined || ttl === '604800');
      };
      step(dataset.fill());
      assert.equal(dataset.keys, copies * preload.keys);
      const filled = dataset.logicalBytes;
      for (const turn of [0, 1]) {
        step(dataset.overwrite(turn, { from: 0, to: 0.3 }));
        step(dataset.overwrite(turn, { from: 0.3, to: 1 }));
        // A whole turn only exchanges contents.
        assert.equal(dataset.logicalBytes, filled);
        assert.equal(dataset.keys, copies * preload.keys);
      }
      step(dataset.delete({ from: 0, to: 0.5 }));
      step(dataset.refill({ from: 0, to: 0.5 }));
      assert.equal(dataset.keys, copies * preload.keys);
      const { slice, plan } = dataset.overwriteSlowly(2, 100, 0.2);
      const bytesOf = (op: number) => slice.bytes.subarray(slice.offset[op], slice.offset[op + 1]);
      for (let op = 0; op < slice.count; op++) {
        assert.equal(execute(held, plan.connections[slice.connection[op]!]!.db, bytesOf(op)), 1);
      }
      assert.equal(
        dataset.logicalBytes,
        [...held.values()].reduce((sum, { payload }) => sum + payload, 0),
      );
    }),
    { numRuns: 150 },
  );
});

test('the same seed gives the same bytes, another one another order', () => {
  const preload = fc.sample(preloads, { numRuns: 30, seed: 5 }).toSorted((a, b) => b.keys - a.keys)[0]!;
  assert.ok(preload.keys > 8);
  const bytes = (seed: string) => {
    const dataset = new Dataset(preload, 2, seed);
    return [dataset.fill(), dataset.overwrite(0, { from: 0, to: 1 })];
  };
  assert.deepEqual(bytes('a'), bytes('a'));
  assert.notDeepEqual(bytes('a'), bytes('b'));
});

test('a turn gives keys the contents of others, a refill longer ones', () => {
  const values = ['short', 'x'.repeat(40), 'y'.repeat(400)];
  const writer = new RespWriter();
  values.forEach((value, i) => {
    writer.begin(3);
    for (const argument of ['set', `key:${i}`, value]) writer.text(argument);
  });
  const preload = {
    commands: 3,
    keys: 3,
    logicalBytes: 0,
    databases: [{ db: 0, commands: 3, chunks: () => [writer.view()] }],
  };
  const dataset = new Dataset(preload, 1, 'seed');
  const lengths = ([first]: Traffic) => {
    const found: [string, number][] = [];
    for (let at = 0; at < first!.bytes.length; ) {
      const [, name, value] = readCommand(first!.bytes, at) as [Uint8Array, Uint8Array, Uint8Array];
      found.push([Buffer.from(name).toString(), value.length]);
      at = value.byteOffset - first!.bytes.byteOffset + value.length + 2;
    }
    return new Map(found.sort());
  };
  const before = lengths(dataset.fill());
  const after = lengths(dataset.overwrite(0, { from: 0, to: 1 }));
  for (const [name, length] of before) assert.notEqual(after.get(name), length, name);
  assert.deepEqual([...after.values()].sort(), [...before.values()].sort());
  assert.deepEqual(
    [...lengths(dataset.refill({ from: 0, to: 1 })).values()].sort((a, b) => a - b),
    [7, 50, 500],
  );
});
