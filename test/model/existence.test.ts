/** Which keys were there when a capture began, where there are more of them than a fit follows. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Capture } from '../../src/capture/read.ts';
import { Existed } from '../../src/model/fit/existence.ts';
import { Fit } from '../../src/model/fit/fit.ts';
import { existenceOf } from '../../src/model/fit/summarize.ts';
import { temporaryFile } from '../support/capture.ts';
import { monitorLine, sequence } from '../support/workload.ts';

test('a key that the sample leaves out was there as often as those of its family that it keeps', async () => {
  const keys = Array.from({ length: 10_000 }, (_, i) => [`page:${i}`, `user:${i}`] as const);
  // Three of four pages are missed, and filled; nothing says that users were.
  const commands = keys.flatMap(([page, user], i) => [
    ['get', page],
    ...(i % 4 === 0 ? [] : [['set', page, 'v']]),
    ['hget', user, 'name'],
  ]);
  const capture = temporaryFile('capture.log', `OK\n${sequence(commands).map(monitorLine).join('')}`);
  const fit = new Fit({ parts: 512 });
  for await (const op of new Capture(capture).batches()) while (op.next()) fit.add(op);
  fit.end();
  const existence = existenceOf(fit, {});
  assert.ok(fit.keys.rows < keys.length, 'most are left out');
  const there = (kind: 0 | 1) =>
    keys.reduce((sum, pair) => {
      const { existed, share } = existence.ofKey(0, Buffer.from(pair[kind]));
      return sum + (existed === Existed.yes ? 1 : existed === Existed.unproven ? share : 0);
    }, 0) / keys.length;
  assert.ok(Math.abs(there(0) - 1 / 4) < 0.02, `${there(0)} of the pages`);
  assert.equal(there(1), 1);
});
