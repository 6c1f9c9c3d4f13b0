/** The miner's rules one by one: kinds of placeholder, names kept and not kept, lengths, globs, bounds. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TemplateMiner } from '../../src/model/template/miner.ts';
import { templateText } from '../../src/model/template/parts.ts';
import { touchGroup } from '../../src/model/template/touch.ts';

const READ = touchGroup('string', false);

function add(miner: TemplateMiner, key: string | Uint8Array, uses = 1, group = READ): number {
  const bytes = Buffer.from(key as string);
  const template = miner.add(bytes, 0, bytes.length);
  for (let i = 0; i < uses; i++) miner.touch(template, group);
  return template;
}

/** Families of keys that are used that often, the busiest first. */
function mine(keys: string[], uses = 5, globs: string[] = []): string[] {
  const miner = new TemplateMiner(globs);
  for (const key of keys) add(miner, key, uses);
  return miner.fold().families.map(templateText);
}

const numbered = (count: number, key: (i: number) => string) => Array.from({ length: count }, (_, i) => key(i));

for (const [key, family] of Object.entries({
  'a:1': 'a:{int}',
  'a:00a1b2c3': 'a:{hex}',
  'a:DEADBEEF0123': 'a:{hex}',
  'a:123e4567-e89b-12d3-a456-426614174000': 'a:{uuid}',
  'a:123e4567-e89b-12d3-a456-426614174000x': 'a:{hex}-{id}-{id}-a{int}-{id}',
  'a:2026-11-05:b': 'a:{date}:b',
  'a:20261105': 'a:{date}',
  'a:20261305': 'a:{int}',
  'a/2026/11/05': 'a/{date}',
  'a:ann.lee+x@mail.example.com:b': 'a:{email}:b',
  'ann@example.com': '{email}',
  'a@b': 'a@b',
  'a:10.0.255.1:b': 'a:{ip}:b',
  'a:10.0.256.1': 'a:{int}.{int}.{int}.{int}',
  user123: 'user{int}',
  'a:v2:b': 'a:v2:b',
  'a:3rd': 'a:{id}',
  camelCaseName: 'camelCaseName',
  'stalled-check': 'stalled-check',
  'rate-limit-7': 'rate-limit-{int}',
  '{user7}.cart': '{user{int}}.cart',
  '{}': '{}',
  'a::b:': 'a::b:',
  'sess:LY4cVNv9BPA3EZwbtm_ZnNGe': 'sess:{id}',
  'sess:_Y4cVNv9BPA3EZwbtm-ZnNGe': 'sess:{id}',
  sess_LY4cVNv9BPA3EZwbtm_ZnNGe: 'sess_{id}',
  'a:c29tZSB0ZXh0Cg==': 'a:{id}',
  'a:ключ:b': 'a:{id}:b',
  'a:b\u0000c:d': 'a:{id}',
  'cache.b\u0000c:d': 'cache.{id}',
})) {
  test(`${JSON.stringify(key)} is of ${family}`, () => {
    assert.deepEqual(mine([key]), [family]);
  });
}

test('an empty key has an empty template', () => {
  assert.deepEqual(mine(['']), ['']);
});

test('a literal placeholder in a key is not one in its template', () => {
  const miner = new TemplateMiner();
  const template = add(miner, 'user:{id}', 5);
  const { families, familyOf } = miner.fold();
  assert.deepEqual(families[familyOf[template]!], ['user:{', { placeholder: 'word' }, '}']);
});

test('what was seen once is nobody’s name', () => {
  assert.deepEqual(mine(['profile:ann'], 1), ['{word}:{word}']);
  assert.deepEqual(mine([...numbered(30, (i) => `user:${i}:profile`), 'user:7:ann'], 1), [
    'user:{int}:profile',
    'user:{int}:{word}',
  ]);
});

test('words that siblings have in common stay, however rare they are below one of them', () => {
  const miner = new TemplateMiner();
  for (const queue of ['mail', 'video']) {
    for (let i = 0; i < 30; i++) add(miner, `bull:${queue}:${i}`, 5);
    add(miner, `bull:${queue}:stalled`, 1);
  }
  add(miner, 'bull:mail:ann', 1);
  const names = miner.fold().families.map(templateText).sort();
  assert.deepEqual(names, [
    'bull:mail:stalled',
    'bull:mail:{int}',
    'bull:mail:{word}',
    'bull:video:stalled',
    'bull:video:{int}',
  ]);
});

test('words are one placeholder only if they get like commands', () => {
  const names = numbered(30, (i) => String.fromCharCode(97 + (i % 26), 97 + (i % 7)).repeat(3));
  const miner = new TemplateMiner();
  for (const name of names) add(miner, `user:${name}`, 10);
  add(miner, 'user:index', 10, touchGroup('set', true));
  assert.deepEqual(miner.fold().families.map(templateText), ['user:{word}', 'user:index']);
});

test('a short number that never changes is part of the name', () => {
  assert.deepEqual(mine(numbered(30, (i) => `:1:page:${i}`)), [':1:page:{int}']);
  assert.deepEqual(mine(numbered(30, (i) => `:${i % 2}:page:${i}`)), [':{int}:page:{int}']);
});

test('lengths of what stood at each placeholder', () => {
  const miner = new TemplateMiner();
  for (const key of ['a:1:xyz9', 'a:22:xyz9', 'a:22:abcde9']) add(miner, key, 5);
  add(miner, 'b:longest', 1);
  const { families, lengths } = miner.fold();
  const of = Object.fromEntries(families.map((parts, i) => [templateText(parts), lengths[i]]));
  assert.deepEqual(of['a:{int}:xyz{int}'], [
    [
      [1, 1],
      [2, 1],
    ],
    [[1, 2]],
  ]);
  assert.deepEqual(of['b:{word}'] ?? of['{word}:{word}'], of['b:{word}'] ? [[[7, 1]]] : [[[1, 1]], [[7, 1]]]);
});

test('lengths of very many keys are sampled, and their sum is not', () => {
  const miner = new TemplateMiner();
  for (let i = 0; i < 50_000; i++) add(miner, `a:${i}`, 0);
  const [counts] = miner.fold().lengths[0]!;
  const total = counts!.reduce((sum, [, n]) => sum + n, 0);
  assert.ok(Math.abs(total - 50_000) < 16, `${total}`);
  assert.ok(Math.abs(counts!.find(([length]) => length === 5)![1] - 40_000) < 100);
});

test('a glob makes one family of its keys, the first that matches', () => {
  const keys = ['user-ann-cart', 'user-bob-cart', 'user--cart', 'user-7-x', 'user-8-x'];
  assert.deepEqual(
    mine(keys, 5, ['user-*-cart', 'user-*']),
    ['user-{word}-cart', 'user-{int}-x'].map((name) => name.replace('{int}-x', '{id}')),
  );
  const miner = new TemplateMiner(['user-*-cart']);
  for (const key of keys) add(miner, key);
  const { families, lengths } = miner.fold();
  const forced = families.findIndex((parts) => templateText(parts) === 'user-{word}-cart');
  assert.deepEqual(lengths[forced], [
    [
      [0, 1],
      [3, 2],
    ],
  ]);
});

test('globs: stars are any text, also none; everything else is itself', () => {
  const matched = (glob: string, key: string) => {
    const miner = new TemplateMiner([glob]);
    return add(miner, key) === add(miner, `${glob.replaceAll('*', 'zz')}`);
  };
  assert.ok(matched('a*', 'a'));
  assert.ok(matched('*a', 'bca'));
  assert.ok(matched('*', ''));
  assert.ok(matched('a*b*c', 'abbc'));
  assert.ok(matched('a**c', 'abc'));
  assert.ok(!matched('a*b*c', 'acb'));
  assert.ok(!matched('a*a', 'a'));
  assert.ok(!matched('a?c*', 'abc'));
});

test('globs survive merging', () => {
  const [one, other] = [new TemplateMiner(['u-*']), new TemplateMiner(['u-*'])];
  const first = add(one, 'u-1');
  const second = add(other, 'u-ann');
  const numbers = one.merge(structuredClone(other.state()));
  assert.equal(numbers[second], first);
  assert.deepEqual(one.fold().families.map(templateText), ['u-{id}']);
});

test('the busiest 500 families are kept, the others counted by type', () => {
  const letter = (i: number) => String.fromCharCode(97 + i);
  const miner = new TemplateMiner();
  for (let first = 0; first < 24; first++) {
    for (let second = 0; second < 25; second++) {
      const uses = 1000 - 25 * first - second;
      for (let i = 0; i < 8; i++)
        add(miner, `x${letter(first)}:${letter(second)}:${i}`, uses, touchGroup(second % 2 ? 'hash' : 'set', true));
    }
  }
  const { families } = miner.fold();
  const names = families.map(templateText);
  assert.deepEqual(names.slice(500), ['<other:set>{id}', '<other:hash>{id}']);
  assert.equal(names[0], 'xa:a:{int}');
});

test('hostile keys are bounded in what they make grow, and good ones behind them are still told apart', () => {
  const miner = new TemplateMiner();
  let state = 1;
  const next = () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return state >>> 8;
  };
  const templates = new Set<number>();
  for (let i = 0; i < 60_000; i++) {
    const bytes = Uint8Array.from({ length: 1 + (next() % 40) }, () => 33 + (next() % 94));
    templates.add(miner.add(bytes, 0, bytes.length));
  }
  assert.ok(templates.size <= 8193, `${templates.size} templates`);
  for (const huge of ['x'.repeat(1_000_000), ':'.repeat(1_000_000), `a:${'b:'.repeat(500_000)}`, '{'.repeat(100_000)])
    add(miner, huge);
  const { families } = miner.fold();
  assert.ok(families.length <= 508);
});
