/** Template mining on keyspaces whose families are known. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { TemplateMiner, templateText } from '../../src/model/template.ts';

const hash = (i: number, encoding: 'hex' | 'base64url') => createHash('sha256').update(String(i)).digest(encoding);

/** Truth: family → its keys. */
const KEYSPACES: Record<string, string[]> = {
  'user:{int}:profile': Array.from({ length: 300 }, (_, i) => `user:${1000 + i}:profile`),
  'user:{int}:lock': Array.from({ length: 300 }, (_, i) => `user:${1000 + i}:lock`),
  'sess:{id}': Array.from({ length: 3000 }, (_, i) => `sess:${hash(i, 'base64url').slice(0, 24)}`),
  'cache:page:{hex}': Array.from({ length: 200 }, (_, i) => `cache:page:${hash(i, 'hex').slice(0, 32)}`),
  'ratelimit:{int}.{int}.{int}.{int}': Array.from({ length: 150 }, (_, i) => `ratelimit:10.0.${i}.${i % 7}`),
  'profile:{id}': Array.from(
    { length: 400 },
    (_, i) =>
      `profile:${'abcdefghij'[i % 10]}${'klmnopqrst'[Math.floor(i / 10) % 10]}${'uvwxyz'[Math.floor(i / 100)]}name`,
  ),
  'job:{uuid}': Array.from(
    { length: 50 },
    (_, i) => `job:${hash(i, 'hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*/, '$1-$2-$3-$4-$5')}`,
  ),
  'stats:{date}:views': Array.from({ length: 30 }, (_, i) => `stats:2026-11-${String(i + 1).padStart(2, '0')}:views`),
  'bull:emails:wait': ['bull:emails:wait'],
  'bull:emails:active': ['bull:emails:active'],
  'bull:emails:{int}': Array.from({ length: 90 }, (_, i) => `bull:emails:${i + 1}`),
  '{{id}}.following': Array.from({ length: 60 }, (_, i) => `{user${i}}.following`),
};

test('families of known keyspaces, pairwise F1', () => {
  const miner = new TemplateMiner();
  const keys = Object.entries(KEYSPACES).flatMap(([family, members]) => members.map((key) => ({ key, family })));
  // Interleaved, as a capture has them.
  keys.sort((a, b) => (hash(a.key.length, 'hex') + a.key < hash(b.key.length, 'hex') + b.key ? -1 : 1));
  const templates = keys.map(({ key }) => miner.add(key));
  const { families, familyOf } = miner.fold();
  const mined = templates.map((template) => templateText(families[familyOf[template]!]!));
  // Pairs in the same family by truth, by mining, and by both, from the contingency table.
  const pairs = (labels: string[]) => {
    const counts = new Map<string, number>();
    for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1);
    return [...counts.values()].reduce((sum, n) => sum + (n * (n - 1)) / 2, 0);
  };
  const both = pairs(keys.map(({ family }, i) => `${family} ${mined[i]}`));
  const precision = both / pairs(mined);
  const recall = both / pairs(keys.map(({ family }) => family));
  const f1 = (2 * precision * recall) / (precision + recall);
  assert.ok(f1 >= 0.95, `F1 ${f1}, families ${[...new Set(mined)].join(' ')}`);
  for (const family of Object.keys(KEYSPACES))
    assert.ok(mined.includes(family), `${family} is missing from ${[...new Set(mined)].join(' ')}`);
});

test('hostile keys make families, never errors', () => {
  const miner = new TemplateMiner();
  for (const key of [
    '',
    ':::',
    '{int}',
    '\u0000\u001b[31m',
    'x'.repeat(100_000),
    '<script>alert(1)</script>',
    '{}{}',
    '{:}',
    'ключ',
  ]) {
    assert.equal(typeof miner.add(key), 'number');
    assert.doesNotThrow(() => miner.lengths(miner.add(key), key));
  }
  for (const parts of miner.fold().families) assert.equal(typeof templateText(parts), 'string');
});
