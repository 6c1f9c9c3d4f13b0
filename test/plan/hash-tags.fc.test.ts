/** Keys of one hash tag still have one hash tag, disguised or invented: else a cluster would refuse what it had accepted. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ArgumentDisguise } from '../../src/plan/exact/disguise.ts';
import { hashTag, keySlot, routeOps } from '../../src/plan/slots.ts';
import { keyMakers } from '../../src/plan/synthesis/keys.ts';
import { Synthesis } from '../../src/plan/synthesis/synthesize.ts';
import { type Line, modelOf } from '../support/workload.ts';

const braces = [0x7b, 0x7d];
const plainBytes = (minLength: number) =>
  fc.uint8Array({ minLength, maxLength: 12 }).filter((bytes) => !bytes.some((byte) => braces.includes(byte)));
const textBytes = fc.stringMatching(/^[a-z\\u:0-9é]{1,10}$/u).map((text) => Uint8Array.from(Buffer.from(text)));
const keyWith = (tag: Uint8Array, before: Uint8Array, after: Uint8Array) =>
  Buffer.concat([before, Buffer.from('{'), tag, Buffer.from('}'), after]);

test('anonymised: whatever stands around a tag, it becomes the same tag', () => {
  const disguise = new ArgumentDisguise('secret', { families: [], scripts: [] });
  const rest = fc.oneof(plainBytes(0), textBytes);
  fc.assert(
    fc.property(fc.oneof(plainBytes(1), textBytes), fc.array(rest, { minLength: 4, maxLength: 4 }), (tag, around) => {
      const keys = [keyWith(tag, around[0]!, around[1]!), keyWith(tag, around[2]!, around[3]!)];
      const [a, b] = keys.map((key) => disguise.key(key)) as [Uint8Array, Uint8Array];
      assert.equal(keySlot(a), keySlot(b));
      assert.deepEqual(hashTag(a), hashTag(keys[0]!));
    }),
  );
  const [one, another] = ['{alice}:cart', '{robert}:cart'].map((key) => disguise.key(Buffer.from(key)));
  assert.notEqual(keySlot(one!), keySlot(another!));
  const args = ['EVALSHA', 'f'.repeat(40), '2', '{alice}:cart', '{alice}:ü', '\xc3{alice}'].map((text) =>
    Buffer.from(text),
  );
  disguise.script(args);
  assert.equal(keySlot(args[3]!), keySlot(args[4]!));
});

/** Users with a cart and orders of their own, rooms with many messages: most commands use several keys of one tag. */
function tagged(seed: number): Line[] {
  let atUs = 1_700_000_000e6;
  const lines: Line[] = [];
  const say = (gapUs: number, ...args: string[]) => {
    atUs += gapUs;
    lines.push({ atUs, args });
  };
  for (let i = 0; i < 1500; i++) {
    const [user, room] = [1000 + ((i * 7919 + seed) % 400), (i * 31 + seed) % 60];
    say(2000, 'SADD', `{user:${user}}:follows`, `x${i % 50}`);
    say(2000, 'SINTER', `{user:${user}}:follows`, `{user:${user}}:friends`);
    say(2000, 'MGET', `cart:{${user}}:a`, `cart:{${user}}:b`, `order:{${user}}`);
    say(2000, 'MULTI');
    say(2, 'LPUSH', `room:{${room}}:log`, `${i}`);
    say(2, 'SET', `room:{${room}}:msg:${i}`, 'hello');
    say(2, 'SET', `room:{${room}}:msg:${i + 1}`, 'hello');
    say(2, 'EXEC');
    say(2000, 'GET', `room:{${room}}:msg:${i}`);
  }
  return lines;
}

test('invented: commands and transactions that were in one slot are in one slot', async () => {
  for (const seed of [1, 2]) {
    const model = await modelOf(tagged(seed));
    const synthesis = new Synthesis(model, { seed: `${seed}`, epochSeconds: 1_700_000_000 });
    const slice = synthesis.slice(0, 0, 4);
    assert.ok(slice.count > 1000);
    const slots = new Set<number>();
    for (const connection of synthesis.plan.connections.keys()) {
      const offset: number[] = [];
      for (let op = 0; op < slice.count; op++) if (slice.connection[op] === connection) offset.push(slice.offset[op]!);
      const routes = routeOps(slice.bytes, offset);
      assert.equal(routes.crossSlot, 0);
      for (const slot of routes.slot) slots.add(slot);
    }
    assert.ok(slots.size > 100, `${slots.size} slots`);
  }
});

test('invented keys of a family are all different, and their tags are shared with the families that share them', async () => {
  const { families } = await modelOf(tagged(3));
  const makers = keyMakers(families);
  const made = makers.map((maker) => Array.from({ length: 2000 }, (_, i) => maker.key(i)));
  for (const keys of made) assert.equal(new Set(keys).size, keys.length);
  const of = (template: string) => families.findIndex((family) => family.template === template);
  const [follows, friends] = [of('{user:{int}}:follows'), of('{user:{int}}:friends')];
  for (let i = 0; i < 2000; i++)
    assert.equal(made[follows]![i]!.replace('follows', ''), made[friends]![i]!.replace('friends', ''));
  const messages = makers[of('room:{{int}}:msg:{int}')]!;
  const tagOf = (key: string) => /\{(.*)\}/.exec(key)![1];
  assert.equal(tagOf(messages.key(messages.withTag(7, 3))), tagOf(messages.key(messages.withTag(20, 3))));
});
