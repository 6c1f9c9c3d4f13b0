/** What is due comes out in the order of its times, and what is due at one time in the order in which it came. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TimeQueue } from '../../src/model/time-queue.ts';

test('added and taken in any order, each is the earliest of those that wait, of equals the first', () => {
  const steps = fc.array(fc.option(fc.integer({ min: 0, max: 9 }), { nil: undefined }), { maxLength: 200 });
  fc.assert(
    fc.property(steps, (times) => {
      const queue = new TimeQueue<{ atUs: number; number: number }>();
      let waiting: { atUs: number; number: number }[] = [];
      for (const [number, atUs] of times.entries()) {
        if (atUs !== undefined) {
          queue.add({ atUs, number });
          waiting = [...waiting, { atUs, number }].sort((a, b) => a.atUs - b.atUs || a.number - b.number);
        } else if (waiting.length > 0) assert.deepEqual(queue.take(), waiting.shift());
        assert.equal(queue.nextUs, waiting[0]?.atUs ?? Number.POSITIVE_INFINITY);
        assert.equal(queue.waiting.length, waiting.length);
      }
    }),
  );
});
