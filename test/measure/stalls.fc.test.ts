/** Stalls are what their definition says, asked for instant by instant. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { OpStatus } from '../../src/measure/latency-log.ts';
import { findStalls, SHORTEST_STALL_US } from '../../src/measure/stalls.ts';
import { sliceOf } from '../support/slice.ts';

const op = fc.record({ gapUs: fc.nat(3000), serviceUs: fc.nat(8000), lagUs: fc.nat(1500) });

test('an instant is in a stall if and only if a request has been waiting longer than the threshold', () => {
  fc.assert(
    fc.property(fc.array(op, { minLength: 1, maxLength: 30 }), (ops) => {
      let atUs = 0;
      const planned = ops.map(({ gapUs }) => {
        atUs += gapUs;
        return { args: ['PING'], atUs };
      });
      const sentUs = Float64Array.from(ops, ({ lagUs }, i) => planned[i]!.atUs + lagUs);
      const repliedUs = Float64Array.from(ops, ({ serviceUs }, i) => sentUs[i]! + serviceUs);
      const status = new Uint8Array(ops.length).fill(OpStatus.replied);
      const stalls = findStalls(sliceOf(planned), { sentUs, repliedUs, status });
      const waitsAt = (us: number) => ops.some((_, i) => us >= sentUs[i]! + SHORTEST_STALL_US && us < repliedUs[i]!);
      const isIn = (us: number) =>
        stalls.some(({ startUs, durationUs }) => us >= startUs + SHORTEST_STALL_US && us < startUs + durationUs);
      for (let us = 0; us < atUs + 10_000; us += 97) assert.equal(isIn(us), waitsAt(us), `at ${us} µs`);
      for (const [i, { serviceUs }] of ops.entries()) {
        if (serviceUs <= SHORTEST_STALL_US) continue;
        assert.ok(stalls.some(({ waitUs, startUs }) => waitUs >= serviceUs && startUs <= sentUs[i]!));
      }
    }),
    { numRuns: 200 },
  );
});
