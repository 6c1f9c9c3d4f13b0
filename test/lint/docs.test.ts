/** The pages of the rules are those that the rules make. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeDocs } from '../../src/lint/make-docs.ts';
import { root } from '../support/cli.ts';

const docs = join(root, 'docs');

test('docs/lint is what node src/lint/make-docs.ts writes', () => {
  const files = makeDocs(docs);
  for (const [path, text] of files)
    assert.equal(readFileSync(path, 'utf8'), text, `${path} is stale: node src/lint/make-docs.ts`);
  for (const name of readdirSync(join(docs, 'lint')))
    assert.ok(files.has(join(docs, 'lint', name)), `${name} has no rule`);
});
