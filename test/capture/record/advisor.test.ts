/** The predicted cost of MONITOR: bytes and commands, at the price of the version. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { predictCost } from '../../../src/capture/record/advisor.ts';

const traffic = { inputBytesPerSecond: 5e6, commandsPerSecond: 10_000 };
const shareOf = (product: 'redis' | 'valkey' | 'other', version: string) =>
  Math.round(predictCost(traffic, { product, version }).share * 1000) / 1000;

test('bytes at the price of the version, and a microsecond a command', () => {
  // 5 MB/s × 44 ns + 10,000/s × 1 µs.
  assert.equal(shareOf('redis', '7.0.15'), 0.23);
  assert.equal(shareOf('redis', '6.2.14'), 0.235);
  assert.equal(shareOf('redis', '7.2.6'), 0.185);
  assert.equal(shareOf('redis', '8.0.2'), 0.185);
  assert.equal(shareOf('valkey', '8.0.1'), 0.23);
  assert.equal(shareOf('valkey', '8.1.1'), 0.175);
  assert.equal(shareOf('valkey', '9.1.2'), 0.175);
  assert.equal(shareOf('valkey', '7.2.7'), 0.185);
});

test('what is not known costs as much as the dearest', () => {
  assert.equal(shareOf('other', 'df-v1.27.1'), 0.235);
  assert.equal(shareOf('redis', 'unknown'), 0.235);
});

test('it takes no more than the whole thread', () => {
  const { share } = predictCost(
    { inputBytesPerSecond: 1e9, commandsPerSecond: 1 },
    { product: 'redis', version: '7.0.0' },
  );
  assert.equal(share, 1);
});
