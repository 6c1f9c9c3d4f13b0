/** Keys and commands → slots, as the servers compute them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ANY_SLOT, hashTag, keySlot, routeOps, SLOTS } from '../../src/plan/slots.ts';
import { sliceOf } from '../support/slice.ts';

const slotOf = (key: string) => keySlot(Buffer.from(key));
const route = (...commands: string[][]) => {
  const { bytes, offset } = sliceOf(commands.map((args) => ({ args })));
  const { slot, inTransaction, crossSlot } = routeOps(bytes, offset.slice(0, -1));
  return { slots: [...slot], inTransaction: [...inTransaction], crossSlot };
};

test('the specification’s examples', () => {
  // 0x31c3 is the check value of CRC-16/XMODEM; the others are answers of CLUSTER KEYSLOT.
  assert.equal(slotOf('123456789'), 0x31c3 % SLOTS);
  assert.deepEqual(['foo', 'bar', 'foo{}{bar}', ''].map(slotOf), [12182, 5061, 8363, 0]);
  assert.equal(slotOf('{user1000}.following'), slotOf('{user1000}.followers'));
  assert.equal(slotOf('foo{{bar}}zap'), slotOf('{bar'));
  assert.equal(slotOf('foo{bar}{zap}'), slotOf('bar'));
  const tagOf = (key: string) => {
    const tag = hashTag(Buffer.from(key));
    return tag && key.slice(tag.from, tag.to);
  };
  assert.deepEqual(['a{b}c', 'a{}b{c}', 'a}b{c', '{a'].map(tagOf), ['b', undefined, undefined, undefined]);
});

test('an op goes to the slot of its keys, wherever the command has them', () => {
  const foo = slotOf('foo');
  const { slots, crossSlot } = route(
    ['GET', 'foo'],
    ['PING'],
    ['EVAL', 'return 1', '1', 'foo', 'other'],
    ['XREAD', 'COUNT', '2', 'STREAMS', 'foo', '0'],
    ['OBJECT', 'ENCODING', 'foo'],
    ['ZUNIONSTORE', '{foo}1', '2', '{foo}2', '{foo}3'],
    ['PUBLISH', 'foo', 'm'],
    ['SPUBLISH', 'foo', 'm'],
    ['NOSUCHCOMMAND', 'foo'],
    ['EVAL', 'return 1', '0'],
  );
  assert.deepEqual(slots, [foo, ANY_SLOT, foo, foo, foo, foo, ANY_SLOT, foo, ANY_SLOT, ANY_SLOT]);
  assert.equal(crossSlot, 0);
});

test('a transaction goes as a whole; what is in other slots is counted', () => {
  const [foo, bar] = [slotOf('foo'), slotOf('bar')];
  const { slots, inTransaction, crossSlot } = route(
    ...[['WATCH', 'bar'], ['MULTI'], ['PING'], ['SET', 'foo', '1'], ['GET', 'bar'], ['EXEC']],
    ...[['GET', 'bar'], ['MULTI'], ['PING'], ['DISCARD'], ['MGET', 'foo', 'bar'], ['MULTI'], ['GET', 'bar']],
  );
  assert.deepEqual(slots, [bar, foo, foo, foo, foo, foo, bar, ANY_SLOT, ANY_SLOT, ANY_SLOT, foo, bar, bar]);
  assert.deepEqual(inTransaction, [0, 1, 1, 1, 1, 1, 0, 1, 1, 1, 0, 1, 1]);
  assert.equal(crossSlot, 2);
});
