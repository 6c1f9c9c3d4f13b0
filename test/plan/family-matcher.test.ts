/** Keys find the family that the model counted them in. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { Capture } from '../../src/capture/read.ts';
import { buildModel } from '../../src/model/build.ts';
import { treatmentOf } from '../../src/model/replayable.ts';
import { describe } from '../../src/model/shapes.ts';
import { FamilyMatcher } from '../../src/plan/family-matcher.ts';
import { root } from '../support/cli.ts';

const SCRIPT_CALLS = /^(eval|fcall)/;

for (const name of ['sessions', 'queue', 'mixed']) {
  test(`${name}: as many requests a family as the model has`, async () => {
    const path = join(root, `captures/${name}.monitor.gz`);
    const { families } = (await buildModel(path)).model;
    const matcher = new FamilyMatcher(families);
    const requests = families.map(() => 0);
    for await (const op of new Capture(path).batches()) {
      while (op.next()) {
        if (op.kind !== 'command' || treatmentOf(op.command) !== 'replay' || SCRIPT_CALLS.test(op.command)) continue;
        for (const { index } of describe(op).keys) {
          const family = matcher.match(op.db, op.arg(index));
          assert.ok(family >= 0, Buffer.from(op.arg(index)).toString());
          requests[family]!++;
        }
      }
    }
    assert.deepEqual(
      requests,
      families.map((family) => family.requests),
    );
  });
}

test('the most particular template wins; what fits none has no family', () => {
  const part = (placeholder: 'int' | 'id' | 'hex') => ({ placeholder, lengths: [] });
  const matcher = new FamilyMatcher([
    { db: 0, parts: ['a:', part('id')] },
    { db: 0, parts: ['a:', part('int')] },
    { db: 0, parts: ['a:', part('id'), ':b'] },
    { db: 1, parts: ['a:', part('int')] },
    { db: 0, parts: ['lock'] },
  ]);
  const match = (db: number, key: string) => matcher.match(db, Buffer.from(key));
  assert.deepEqual(
    ['a:1', 'a:x1', 'a:1:b', 'lock', 'lock:1', 'b', '', 'a:'].map((key) => match(0, key)),
    [1, 0, 2, 4, -1, -1, -1, -1],
  );
  assert.equal(match(1, 'a:1'), 3);
  assert.equal(match(2, 'a:1'), -1);
});

test('a hostile key takes no longer than another', () => {
  const id = { placeholder: 'id' as const, lengths: [] };
  const parts = Array.from({ length: 40 }, (_, i) => (i % 2 ? '-' : id));
  const matcher = new FamilyMatcher([{ db: 0, parts: [...parts, '!'] }]);
  assert.equal(matcher.match(0, Buffer.alloc(1 << 20, '-')), -1);
});
