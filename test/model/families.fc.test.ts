/** Families of synthetic keyspaces whose truth is known: neither too few nor too many, in any order, in one pass or merged. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { mulberry32 } from '../../src/model/random.ts';
import { TemplateMiner } from '../../src/model/template/miner.ts';
import { templateText } from '../../src/model/template/parts.ts';
import { touchGroup } from '../../src/model/template/touch.ts';

/** One family of a scheme: its keys, and the commands that each of them gets. */
interface Truth {
  keys: string[];
  touches: [group: string, write: boolean][];
}

const STRING: Truth['touches'] = [...Array<['string', boolean]>(4).fill(['string', false]), ['string', true]];
const COUNTER: Truth['touches'] = [
  ['string', true],
  ['string', true],
  ['generic', true],
];
const LOCK: Truth['touches'] = [
  ['string', true],
  ['generic', true],
];
const HASH: Truth['touches'] = [
  ['hash', false],
  ['hash', false],
  ['hash', true],
];
const LIST: Truth['touches'] = [
  ['list', true],
  ['list', true],
];
const SET: Truth['touches'] = [
  ['set', false],
  ['set', true],
];
const ZSET: Truth['touches'] = [
  ['sorted-set', false],
  ['sorted-set', true],
];
const STREAM: Truth['touches'] = [
  ['stream', true],
  ['stream', false],
];

const digest = (i: number | string, encoding: 'hex' | 'base64' | 'base64url' = 'hex') =>
  createHash('sha256').update(String(i)).digest(encoding);
const uuid = (i: number | string) => digest(i).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*/, '$1-$2-$3-$4-$5');
const number = (i: number | string, below: number) => Number.parseInt(digest(i).slice(0, 12), 16) % below;
const NAMES = 'james mary robert linda michael susan david karen thomas lisa daniel nancy mark betty paul helen'.split(
  ' ',
);
const SURNAMES = 'smith jones taylor brown wilson evans walker wright hall green baker adams clark lewis'.split(' ');
const NOUNS = 'shoes shirt table lamp phone camera laptop chair desk bottle watch jacket carpet mirror'.split(' ');
const pick = (words: string[], i: number | string) => words[number(i, words.length)]!;
const userName = (i: number) => `${pick(NAMES, i)}${pick(SURNAMES, `s${i}`)}`;
const slug = (i: number) =>
  Array.from({ length: 2 + number(`n${i}`, 4) }, (_, w) => pick([...NOUNS, ...SURNAMES, ...NAMES], `${i} ${w}`)).join(
    '-',
  );
const base36 = (i: number | string, length: number) =>
  Array.from({ length }, (_, c) => number(`${i} ${c}`, 36).toString(36)).join('');
const day = (i: number) => new Date(Date.UTC(2026, 0, 1 + i)).toISOString().slice(0, 10);

const of = (count: number, key: (i: number) => string, touches = STRING): Truth => ({
  keys: [...new Set(Array.from({ length: count }, (_, i) => key(i)))],
  touches,
});
/** Constant keys, which come again and again. */
const single = (key: string, touches = STRING): Truth => ({ keys: [key], touches: Array(8).fill(touches).flat() });

const SCHEMES: Record<string, Record<string, Truth>> = {
  'numeric ids': {
    'user:{int}:profile': of(300, (i) => `user:${1000 + i}:profile`, HASH),
    'user:{int}:lock': of(300, (i) => `user:${1000 + i}:lock`, LOCK),
    'user:{int}': of(200, (i) => `user:${i}`, HASH),
  },
  'small numbers': {
    'shard:{int}:queue': of(16, (i) => `shard:${i}:queue`, LIST),
    'shard:{int}:item:{int}': of(400, (i) => `shard:${i % 16}:item:${i}`, HASH),
  },
  uuids: {
    'job:{uuid}': of(200, (i) => `job:${uuid(i)}`, HASH),
    'job:{uuid}:log': of(200, (i) => `job:${uuid(i)}:log`, LIST),
  },
  'hexadecimal ids of 32': { 'cache:page:{hex}': of(300, (i) => `cache:page:${digest(i).slice(0, 32)}`) },
  'hexadecimal ids of 8': { 'tok:{hex}': of(2000, (i) => `tok:${digest(i).slice(0, 8)}`) },
  'hexadecimal ids of 6': { 'short:{id}': of(2000, (i) => `short:${digest(i).slice(0, 6)}`) },
  'object ids': {
    'doc.{hex}.meta': of(300, (i) => `doc.${digest(i).slice(0, 24)}.meta`, HASH),
    'doc.{hex}': of(300, (i) => `doc.${digest(i).slice(0, 24)}`),
  },
  'e-mail addresses': {
    'login:{email}': of(300, (i) => `login:${userName(i)}@example.com`, COUNTER),
    'reset:{email}:token': of(
      200,
      (i) => `reset:${pick(NAMES, i)}.${pick(SURNAMES, i * 7)}+${i}@mail${i % 3}.example.co.uk:token`,
    ),
  },
  dates: {
    'stats:{date}:views': of(60, (i) => `stats:${day(i)}:views`, COUNTER),
    'stats:{date}:visitors': of(60, (i) => `stats:${day(i)}:visitors`, SET),
    'report/{date}': of(60, (i) => `report/${day(i).replaceAll('-', '')}`),
  },
  'base64url ids of 24': { 'sess:{id}': of(3000, (i) => `sess:${digest(i, 'base64url').slice(0, 24)}`, HASH) },
  'base64 ids of 24': { 'token:{id}': of(1500, (i) => `token:${digest(i, 'base64').slice(0, 22)}==`) },
  'base64 ids of 44': { 'sig:{id}': of(1500, (i) => `sig:${digest(i, 'base64')}`) },
  'base36 ids of 8': { 'link:{id}': of(3000, (i) => `link:${base36(i, 8)}`) },
  'base36 ids of 5': { 'go:{id}': of(3000, (i) => `go:${base36(i, 5)}`) },
  'user names': { 'profile:{word}': of(400, (i) => `profile:${userName(i)}`, HASH) },
  'camelCase words': {
    'userProfile:{int}': of(200, (i) => `userProfile:${i}`, HASH),
    'userSettings:{int}': of(200, (i) => `userSettings:${i}`, HASH),
    'orderLineItems:{int}:totalAmount': of(200, (i) => `orderLineItems:${i}:totalAmount`),
  },
  'kebab ids': {
    'user-{int}-profile': of(200, (i) => `user-${i}-profile`, HASH),
    'user-{int}-cart': of(200, (i) => `user-${i}-cart`, LIST),
    'rate-limit-{int}': of(200, (i) => `rate-limit-${i}`, COUNTER),
  },
  slugs: {
    'post:{word}': of(800, (i) => `post:${slug(i)}`, HASH),
    'post:{word}:comments': of(400, (i) => `post:${slug(i)}:comments`, LIST),
  },
  'titles in snake case': {
    'page:{id}': of(3000, (i) => `page:${slug(i).replaceAll('-', '_')}`),
    'page:{id}:html': of(2000, (i) => `page:${slug(i).replaceAll('-', '_')}:html`),
  },
  paths: { 'static/{id}': of(1500, (i) => `static/${slug(i).replaceAll('-', '/')}`) },
  'names in snake case': {
    'user_{word}_profile': of(300, (i) => `user_${userName(i)}_profile`, HASH),
    'user_{word}_cart': of(300, (i) => `user_${userName(i)}_cart`, LIST),
  },
  'hash tags': {
    '{user{int}}.following': of(100, (i) => `{user${i}}.following`, SET),
    '{user{int}}.followers': of(100, (i) => `{user${i}}.followers`, SET),
    '{cart}:{int}': of(100, (i) => `{cart}:${i}`, HASH),
  },
  'long prefixes': {
    'com.example.shop.service.Cache#product({int})': of(200, (i) => `com.example.shop.service.Cache#product(${i})`),
    'com.example.shop.service.Cache#category({int})': of(200, (i) => `com.example.shop.service.Cache#category(${i})`),
  },
  nested: {
    'app:prod:eu:user:{int}:device:{uuid}:token': of(300, (i) => `app:prod:eu:user:${i % 90}:device:${uuid(i)}:token`),
    'app:prod:eu:user:{int}:devices': of(90, (i) => `app:prod:eu:user:${i}:devices`, SET),
    'app:prod:us:user:{int}:devices': of(90, (i) => `app:prod:us:user:${i}:devices`, SET),
  },
  'several delimiters': {
    'a|b#{int}/{int}': of(200, (i) => `a|b#${i}/${i * 7}`),
    'a|b#{int}': of(200, (i) => `a|b#${i}`),
    'a.b.{int}_x': of(200, (i) => `a.b.${i}_x`),
  },
  addresses: { 'rl:{ip}:{int}': of(300, (i) => `rl:10.${i % 9}.${i % 200}.${i % 7}:${29_000_000 + i}`, COUNTER) },
  'few tenants': Object.fromEntries(
    ['acme', 'globex', 'initech'].flatMap((tenant) => [
      [`${tenant}:order:{int}`, of(300, (i) => `${tenant}:order:${i}`, HASH)],
      [`${tenant}:stock:{int}`, of(300, (i) => `${tenant}:stock:${i}`, COUNTER)],
    ]),
  ),
  'many tenants': {
    't:{word}:order:{int}': of(1500, (i) => `t:${userName(i % 150)}:order:${i}`, HASH),
    't:{word}:config': of(150, (i) => `t:${userName(i)}:config`),
  },
  versions: {
    'v1:user:{int}': of(200, (i) => `v1:user:${i}`, HASH),
    'v2:user:{int}': of(200, (i) => `v2:user:${i}`, HASH),
    'v2:order:{int}': of(200, (i) => `v2:order:${i}`, HASH),
  },
  BullMQ: Object.fromEntries(
    ['emails', 'reports', 'webhooks'].flatMap((queue) => [
      [`bull:${queue}:{int}`, of(200, (i) => `bull:${queue}:${i}`, HASH)],
      [`bull:${queue}:{int}:lock`, of(150, (i) => `bull:${queue}:${i}:lock`, LOCK)],
      [`bull:${queue}:wait`, single(`bull:${queue}:wait`, LIST)],
      [`bull:${queue}:active`, single(`bull:${queue}:active`, LIST)],
      [`bull:${queue}:delayed`, single(`bull:${queue}:delayed`, ZSET)],
      [`bull:${queue}:meta`, single(`bull:${queue}:meta`, HASH)],
      [`bull:${queue}:events`, single(`bull:${queue}:events`, STREAM)],
      [`bull:${queue}:stalled-check`, { keys: [`bull:${queue}:stalled-check`], touches: LOCK }],
    ]),
  ),
  'three queues': {
    'queue:mail': single('queue:mail', LIST),
    'queue:video': single('queue:video', LIST),
    'queue:export': single('queue:export', LIST),
  },
  Rails: {
    'views/products/{int}-{int}/{hex}': of(
      300,
      (i) => `views/products/${i}-20260105${100_000 + i}/${digest(i % 4).slice(0, 32)}`,
    ),
    'rack::attack:{int}:req/ip:{ip}': of(
      300,
      (i) => `rack::attack:${29_000_000 + (i % 5)}:req/ip:10.2.${i % 250}.${i % 9}`,
      COUNTER,
    ),
    '_session_id:2::{hex}': of(300, (i) => `_session_id:2::${digest(i)}`),
  },
  Laravel: {
    'laravel_database_user_{int}_profile': of(200, (i) => `laravel_database_user_${i}_profile`, HASH),
    'laravel_cache_:{hex}': of(300, (i) => `laravel_cache_:${createHash('sha1').update(`${i}`).digest('hex')}`),
    'laravel_cache_:{hex}:timer': of(
      300,
      (i) => `laravel_cache_:${createHash('sha1').update(`${i}`).digest('hex')}:timer`,
    ),
    'laravel_database_queues:default': single('laravel_database_queues:default', LIST),
    'laravel_database_queues:default:reserved': single('laravel_database_queues:default:reserved', ZSET),
    'laravel_horizon:{int}': of(200, (i) => `laravel_horizon:${i}`, HASH),
  },
  Spring: {
    'spring:session:sessions:{uuid}': of(200, (i) => `spring:session:sessions:${uuid(i)}`, HASH),
    'spring:session:sessions:expires:{uuid}': of(200, (i) => `spring:session:sessions:expires:${uuid(i)}`),
    'spring:session:expirations:{int}': of(
      100,
      (i) => `spring:session:expirations:${1_795_000_000_000 + i * 60_000}`,
      SET,
    ),
    'products::{int}': of(200, (i) => `products::${i}`),
    'products::SimpleKey []': single('products::SimpleKey []'),
  },
  Sidekiq: {
    'stat:processed': single('stat:processed', COUNTER),
    'stat:failed': single('stat:failed', COUNTER),
    'stat:processed:{date}': of(40, (i) => `stat:processed:${day(i)}`, COUNTER),
    'stat:failed:{date}': of(40, (i) => `stat:failed:${day(i)}`, COUNTER),
    'queue:default': single('queue:default', LIST),
    'queue:critical': single('queue:critical', LIST),
    queues: single('queues', SET),
    'b-{id}': of(300, (i) => `b-${digest(i, 'base64url').slice(0, 14)}`, HASH),
  },
  Magento: {
    'zc:k:16f_{hex}': of(600, (i) => `zc:k:16f_${createHash('md5').update(`${i}`).digest('hex')}`, HASH),
    'zc:ti:{id}_CONFIG': single('zc:ti:16f_CONFIG', SET),
    'zc:ti:{id}_LAYOUT': single('zc:ti:16f_LAYOUT', SET),
    'sess_{id}': of(500, (i) => `sess_${base36(i, 26)}`, HASH),
  },
  Django: {
    ':1:views.decorators.cache.cache_page..GET.{hex}.{hex}.en-us.UTC': of(
      300,
      (i) =>
        `:1:views.decorators.cache.cache_page..GET.${digest(i).slice(0, 32)}.${digest(i % 3).slice(0, 32)}.en-us.UTC`,
    ),
    ':1:user_{int}': of(300, (i) => `:1:user_${i}`),
  },
  Celery: {
    'celery-task-meta-{uuid}': of(300, (i) => `celery-task-meta-${uuid(i)}`),
    unacked_mutex: single('unacked_mutex', LOCK),
    '_kombu.binding.celery': single('_kombu.binding.celery', SET),
    celery: single('celery', LIST),
  },
  WordPress: {
    'wp_:posts:{int}': of(300, (i) => `wp_:posts:${i}`),
    'wp_:post_meta:{int}': of(300, (i) => `wp_:post_meta:${i}`),
    'wp_:options:alloptions': single('wp_:options:alloptions'),
    'wp_:transient:{hex}': of(300, (i) => `wp_:transient:${createHash('md5').update(`${i}`).digest('hex')}`),
  },
};

interface Access {
  key: string;
  truth: string;
  group: number;
}

const accessesOf = (scheme: Record<string, Truth>): Access[] =>
  Object.entries(scheme).flatMap(([truth, { keys, touches }]) =>
    keys.flatMap((key) => touches.map(([group, write]) => ({ key, truth, group: touchGroup(group, write) }))),
  );

function shuffled<T>(items: T[], seed: number): T[] {
  const random = mulberry32(seed);
  const result = [...items];
  for (let i = result.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [result[i], result[j]] = [result[j]!, result[i]!];
  }
  return result;
}

/** Feeds accesses as a model does: a key is added when it is new, and touched each time. */
function mine(miner: TemplateMiner, accesses: Access[]): Map<string, number> {
  const templates = new Map<string, number>();
  for (const { key, group } of accesses) {
    let template = templates.get(key);
    if (template === undefined) {
      const bytes = Buffer.from(`>${key}<`);
      template = miner.add(bytes, 1, bytes.length - 1);
      templates.set(key, template);
    }
    miner.touch(template, group);
  }
  return templates;
}

/** Name of the family of each key. */
function namesOf(miner: TemplateMiner, templates: Map<string, number>): Map<string, string> {
  const { families, familyOf } = miner.fold();
  return new Map([...templates].map(([key, template]) => [key, templateText(families[familyOf[template]!]!)]));
}

/** Pairwise F1: pairs of keys that are in one family by truth, and by what was mined. */
function f1(accesses: Access[], names: Map<string, string>): number {
  const truths = new Map(accesses.map(({ key, truth }) => [key, truth]));
  const pairs = (labels: string[]) => {
    const counts = new Map<string, number>();
    for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1);
    return [...counts.values()].reduce((sum, n) => sum + (n * (n - 1)) / 2, 0);
  };
  const both = pairs([...truths].map(([key, truth]) => `${truth}\n${names.get(key)}`));
  const mined = pairs([...names.values()]);
  const known = pairs([...truths.values()]);
  // Keys that are all alone are found when they are left alone.
  return mined + known === 0 ? 1 : (2 * both) / (mined + known);
}

/** Names that the truth does not have, and the share of keys that they took. */
function wrong(accesses: Access[], names: Map<string, string>): { names: string[]; share: number } {
  const truths = new Set(accesses.map(({ truth }) => truth));
  const strays = [...names.values()].filter((name) => !truths.has(name));
  return { names: [...new Set(strays)], share: strays.length / names.size };
}

for (const [name, scheme] of Object.entries(SCHEMES)) {
  test(`${name}: the families are the true ones`, () => {
    const accesses = shuffled(accessesOf(scheme), 1);
    const miner = new TemplateMiner();
    const names = namesOf(miner, mine(miner, accesses));
    const found = [...new Set(names.values())];
    const described = found.slice(0, 40).join('  ');
    assert.ok(f1(accesses, names) >= 0.95, `F1 ${f1(accesses, names)}: ${described}`);
    for (const family of Object.keys(scheme))
      assert.ok(found.includes(family), `${family} is missing from ${described}`);
    assert.ok(wrong(accesses, names).share <= 0.03, described);
  });
}

const mixture = fc
  .record({
    schemes: fc.uniqueArray(fc.constantFrom(...Object.keys(SCHEMES)), { minLength: 2, maxLength: 12 }),
    seed: fc.nat(),
  })
  .map(({ schemes, seed }) => ({ seed, schemes, accesses: schemes.flatMap((name) => accessesOf(SCHEMES[name]!)) }));

test('mixtures: as many families as there are, whatever the order', () => {
  fc.assert(
    fc.property(mixture, ({ accesses, seed }) => {
      const runs = [shuffled(accesses, seed), shuffled(accesses, seed + 1)].map((order) => {
        const miner = new TemplateMiner();
        return namesOf(miner, mine(miner, order));
      }) as [Map<string, string>, Map<string, string>];
      for (const names of runs) {
        assert.ok(f1(accesses, names) >= 0.95, `F1 ${f1(accesses, names)}`);
        const { share, names: strays } = wrong(accesses, names);
        assert.ok(share <= 0.03, `${share} in ${strays.slice(0, 20).join('  ')}`);
      }
      const other = [...runs[0]].filter(([key, name]) => runs[1].get(key) !== name);
      assert.ok(other.length <= 0.02 * runs[0].size, `${other.length} keys: ${other.slice(0, 5).join('  ')}`);
    }),
    { numRuns: 25, seed: 7 },
  );
});

test('the whole of all schemes in one database', () => {
  const accesses = shuffled(Object.values(SCHEMES).flatMap(accessesOf), 3);
  const miner = new TemplateMiner();
  const names = namesOf(miner, mine(miner, accesses));
  assert.ok(f1(accesses, names) >= 0.95, `F1 ${f1(accesses, names)}`);
  const { share, names: strays } = wrong(accesses, names);
  assert.ok(share <= 0.03, `${share} in ${strays.slice(0, 20).join('  ')}`);
});

test('miners of parts of a capture, merged, know what one miner of all of it knows', () => {
  fc.assert(
    fc.property(mixture, fc.integer({ min: 1, max: 4 }), ({ accesses, seed }, parts) => {
      const order = shuffled(accesses, seed);
      const whole = new TemplateMiner();
      const expected = namesOf(whole, mine(whole, order));
      const merged = new TemplateMiner();
      const templates = new Map<string, number>();
      for (let part = 0; part < parts; part++) {
        // Cut by key, as threads are.
        const own = order.filter(({ key }) => number(key, parts) === part);
        const miner = new TemplateMiner();
        const local = mine(miner, own);
        const numbers = merged.merge(structuredClone(miner.state()));
        for (const [key, template] of local) templates.set(key, numbers[template]!);
      }
      const names = namesOf(merged, templates);
      const other = [...expected].filter(([key, name]) => names.get(key) !== name);
      assert.ok(other.length <= 0.02 * expected.size, `${other.length} keys: ${other.slice(0, 5).join('  ')}`);
    }),
    { numRuns: 20, seed: 11 },
  );
});

test('a merge counts every key and length once', () => {
  const accesses = accessesOf(SCHEMES['numeric ids']!);
  const whole = new TemplateMiner();
  mine(whole, accesses);
  const merged = new TemplateMiner();
  for (const part of [0, 1]) {
    const miner = new TemplateMiner();
    mine(
      miner,
      accesses.filter(({ key }) => number(key, 2) === part),
    );
    merged.merge(miner.state());
  }
  const sorted = (miner: TemplateMiner) => {
    const { families, lengths } = miner.fold();
    return families.map((parts, i) => [templateText(parts), lengths[i]]).sort();
  };
  assert.deepEqual(sorted(merged), sorted(whole));
});

test('any bytes at all make a template, and its family has a name of printable ASCII', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.oneof(
          fc.uint8Array({ maxLength: 300 }),
          fc.string({ unit: 'binary' }),
          fc.stringMatching(/^[a-c:{}_\-.=@1]{0,12}$/),
        ),
        {
          maxLength: 200,
        },
      ),
      (keys) => {
        const miner = new TemplateMiner();
        const numbers = keys.map((key) => {
          const bytes = Buffer.from(key);
          return miner.add(bytes, 0, bytes.length);
        });
        const { families, familyOf, lengths } = miner.fold();
        keys.forEach((key, i) => {
          const parts = families[familyOf[numbers[i]!]!]!;
          assert.match(templateText(parts), /^[ -~]*$/);
          // Constants are what the key itself has.
          const text = Buffer.from(key).toString('latin1');
          let at = 0;
          for (const part of parts) {
            if (typeof part !== 'string') continue;
            at = text.indexOf(part, at);
            assert.ok(at >= 0, `${JSON.stringify(text)} is no ${templateText(parts)}`);
            at += part.length;
          }
        });
        families.forEach((parts, i) => {
          const placeholders = parts.filter((part) => typeof part !== 'string').length;
          assert.equal(lengths[i]!.length, placeholders);
          for (const counts of lengths[i]!) assert.ok(counts.length > 0);
        });
      },
    ),
    { numRuns: 300 },
  );
});
