// A web shop's cache: the usual idioms side by side over ioredis, iovalkey and node-redis, in three databases.
import { gzipSync } from 'node:zlib';
import { Redis } from 'ioredis';
import { Redis as Valkey } from 'iovalkey';
import { pack } from 'msgpackr';
import { createClient, defineScript } from 'redis';
import { openLoop, sleep } from './pace.js';
import { ipAddress, person, Random } from './random.js';
import { record } from './record.js';

const SECONDS = 13;
const PRODUCTS = 4000;
const USERS = 2500;
const STOCK_ITEMS = 6;
const TODAY = new Date().toISOString().slice(0, 10);

const random = new Random(20_240_503);
const popularProduct = random.zipf(PRODUCTS, 0.9);
const popularUser = random.zipf(USERS, 1.1);
const users = Array.from({ length: USERS }, (_, index) => ({ id: 1000 + index, ...person(random) }));
const addresses = Array.from({ length: 300 }, () => ipAddress(random));
const popularAddress = random.zipf(addresses.length, 1);
const someUser = () => users[popularUser()].id;

/** Releases a lock only if the caller still owns it. */
const UNLOCK = `if redis.call("GET", KEYS[1]) == ARGV[1] then
  return redis.call("DEL", KEYS[1])
end
return 0`;

/** Spends from a daily budget. node-redis tries EVALSHA first, so the first calls meet NOSCRIPT. */
const spendBudget = defineScript({
  SCRIPT: `local left = tonumber(redis.call("HGET", KEYS[1], "left") or ARGV[2])
local cost = tonumber(ARGV[1])
if cost > left then return -1 end
redis.call("HSET", KEYS[1], "left", left - cost)
redis.call("EXPIRE", KEYS[1], 86400)
return left - cost`,
  NUMBER_OF_KEYS: 1,
  parseCommand(parser, key, cost, total) {
    parser.pushKey(key);
    parser.push(String(cost), String(total));
  },
  transformReply: (left) => left,
});

await record({
  name: 'mixed',
  libraries: ['ioredis', 'iovalkey', 'redis', 'msgpackr'],

  async setup(target) {
    const [objects] = connect(Redis, target, 1);
    const [cache] = connect(Redis, target, 1, 1);
    for (const user of users) if (random.chance(0.6)) await objects.hset(`user:${user.id}:profile`, profile(user));
    for (let rank = 0; rank < 1500; rank += 2) await cache.set(`product:${rank}`, product(rank), 'EX', 600);
    for (let item = 0; item < STOCK_ITEMS; item++) await objects.set(`stock:${item}`, 1000);
    await Promise.all([objects.quit(), cache.quit()]);
  },

  async workload(target) {
    const clients = {
      limiter: connect(Redis, target, 3),
      board: connect(Redis, target, 2),
      objects: connect(Redis, target, 2),
      stock: connect(Redis, target, 2),
      locks: connect(Redis, target, 2),
      cache: connect(Redis, target, 3, 1),
      batch: connect(Redis, target, 2, 1),
      feeds: connect(Valkey, target, 3, 2),
    };
    const metrics = await createClient({ socket: target, name: 'metrics', scripts: { spendBudget } }).connect();
    const listener = new Redis(target);
    await listener.subscribe('cache:invalidate');

    const any = (group) => random.pick(clients[group]);
    const run = (perSecond, start) => openLoop({ seconds: SECONDS, perSecond, random, start });
    await Promise.all([
      run(70, () => fixedWindow(any('limiter'))),
      run(25, () => slidingWindow(any('limiter'))),
      run(110, () => leaderboard(any('board'))),
      run(150, () => cacheAside(any('cache'))),
      run(35, () => blobs(any('cache'))),
      run(90, () => profiles(any('objects'))),
      run(14, () => batch(any('batch'))),
      run(80, () => feed(any('feeds'))),
      run(60, () => followers(any('feeds'))),
      run(25, () => locked(any('locks'))),
      run(60, () => count(metrics)),
      run(15, () => metrics.spendBudget(`budget:mail:${random.between(1, 20)}`, random.between(1, 9), 500)),
      run(2, () => mistakes(any('objects'), any('feeds'))),
      run(2, () => any('cache').publish('cache:invalidate', `product:${popularProduct()}`)),
      // A transaction with WATCH needs a connection to itself, so each of these takes one after the other.
      ...clients.stock.map((client) => reserveRepeatedly(client)),
    ]);
    await listener.unsubscribe('cache:invalidate');
    await Promise.all([...Object.values(clients).flat(), listener].map((client) => client.quit()));
    await metrics.close();
  },
});

function connect(Client, { host, port }, count, db = 0) {
  return Array.from({ length: count }, () => new Client({ host, port, db }));
}

/** Requests per address and minute. */
async function fixedWindow(client) {
  const key = `ratelimit:ip:${addresses[popularAddress()]}:${Math.floor(Date.now() / 60_000)}`;
  await client.multi().incr(key).expire(key, 60).exec();
}

/** Requests per user in the last ten seconds, one member per request. */
async function slidingWindow(client) {
  const key = `ratelimit:user:${someUser()}`;
  const now = Date.now();
  await client
    .multi()
    .zremrangebyscore(key, '-inf', now - 10_000)
    .zadd(key, now, `${now}-${random.hex(6)}`)
    .zcard(key)
    .pexpire(key, 10_000)
    .exec();
}

async function leaderboard(client) {
  const key = `leaderboard:${random.pick(['daily', 'daily', 'weekly'])}:${TODAY}`;
  const player = `player:${someUser()}`;
  const action = random.unit();
  if (action < 0.5) await client.zincrby(key, random.between(1, 50), player);
  else if (action < 0.7) await client.zrevrange(key, 0, 9, 'WITHSCORES');
  else if (action < 0.9) await client.zrevrank(key, player);
  else await client.zrank(key, player);
}

async function cacheAside(client) {
  const rank = popularProduct();
  if (random.chance(0.06)) {
    await client.mget(Array.from({ length: random.between(2, 8) }, () => `product:${popularProduct()}`));
  } else if (random.chance(0.01)) {
    await client.del(`product:${rank}`);
  } else if ((await client.get(`product:${rank}`)) === null) {
    await sleep(random.between(2, 8)); // the database behind the cache
    await client.set(`product:${rank}`, product(rank), 'EX', random.pick([300, 600, 600, 3600]));
  }
}

/** Binary values: compressed fragments and MessagePack. */
async function blobs(client) {
  const action = random.unit();
  if (action < 0.3) {
    await client.getBuffer(`fragment:home:${random.between(1, 40)}`);
  } else if (action < 0.6) {
    await client.getBuffer(`geo:${addresses[popularAddress()]}`);
  } else if (action < 0.8) {
    const items = Array.from({ length: random.between(2, 7) }, () => `<li>${product(popularProduct())}</li>`);
    await client.setex(`fragment:home:${random.between(1, 40)}`, 120, gzipSync(items.join('')));
  } else {
    const place = {
      lat: random.between(-90, 90) / 3,
      lon: random.between(-180, 180) / 7,
      zone: 'Europe/Vienna',
      seen: Date.now(),
    };
    await client.psetex(Buffer.from(`geo:${addresses[popularAddress()]}`), 90_000, pack(place));
  }
}

async function profiles(client) {
  const user = users[popularUser()];
  const key = `user:${user.id}:profile`;
  const action = random.unit();
  if (action < 0.5) {
    const found = await client.hgetall(key);
    if (Object.keys(found).length === 0) await client.hset(key, profile(user));
  } else if (action < 0.75) {
    await client.hmget(key, 'name', 'locale', 'plan');
  } else if (action < 0.95) {
    await client.hincrby(key, random.pick(['visits', 'clicks']), 1);
  } else {
    await client.hset(key, 'lastSeenAt', new Date().toISOString());
  }
}

/** A pipeline of 5 to 20 commands in one write. */
async function batch(client) {
  const depth = random.between(5, 20);
  const pipeline = client.pipeline();
  const warming = random.chance(0.4);
  for (let step = 0; step < depth; step++) {
    const rank = popularProduct();
    if (warming) pipeline.get(`product:${rank}`);
    else if (step % 2 === 0) pipeline.hincrby(`views:${TODAY}`, rank, 1);
    else pipeline.expire(`product:${rank}`, 600);
  }
  await pipeline.exec();
}

async function feed(client) {
  const key = `feed:${someUser()}`;
  if (random.chance(0.25)) {
    await client.lpush(
      key,
      JSON.stringify({ type: random.pick(['order', 'review', 'follow']), by: someUser(), at: Date.now() }),
    );
    await client.ltrim(key, 0, 49);
  } else if (random.chance(0.1)) {
    await client.llen(key);
  } else {
    await client.lrange(key, 0, 9);
  }
}

async function followers(client) {
  const key = `followers:${someUser()}`;
  const action = random.unit();
  if (action < 0.3) await client.sadd(key, someUser());
  else if (action < 0.35) await client.srem(key, someUser());
  else if (action < 0.65) await client.sismember(key, someUser());
  else if (action < 0.8) await client.scard(key);
  else if (action < 0.95) await client.smembers(key);
  else await client.sinter(key, `followers:${someUser()}`);
}

async function locked(client) {
  const key = `lock:order:${random.between(1, 12)}`;
  const token = random.hex(16);
  const acquired = await client.set(key, token, 'PX', 2000, 'NX');
  if (acquired === null) return;
  await sleep(random.between(3, 25));
  await client.eval(UNLOCK, 1, key, token);
}

/** Counters of a metrics process: hashes, bitmaps, HyperLogLog. */
async function count(client) {
  const user = someUser();
  const action = random.unit();
  if (action < 0.4) await client.pfAdd(`visitors:${TODAY}`, `u${user}`);
  else if (action < 0.75) await client.setBit(`active:${TODAY}`, user, 1);
  else if (action < 0.95) await client.incrBy(`revenue:${TODAY}`, random.between(400, 20_000));
  else if (action < 0.98) await client.pfCount(`visitors:${TODAY}`);
  else await client.bitCount(`active:${TODAY}`);
}

/** Commands that the server runs and answers with an error. */
async function mistakes(objects, feeds) {
  const wrong = random.chance(0.5) ? feeds.get(`feed:${users[0].id}`) : objects.incr(`user:${users[0].id}:profile`);
  await wrong.catch(expectError);
}

function expectError(error) {
  if (!/WRONGTYPE|not an integer/.test(error.message)) throw error;
}

/** Optimistic locking over few items by two clients, so that some transactions abort. */
async function reserveRepeatedly(client) {
  const deadline = Date.now() + SECONDS * 1000;
  while (Date.now() < deadline) {
    const key = `stock:${random.between(0, STOCK_ITEMS - 1)}`;
    await client.watch(key);
    const left = Number(await client.get(key));
    await sleep(random.between(1, 12));
    if (left === 0) await client.unwatch();
    else
      await client
        .multi()
        .set(key, left - 1)
        .rpush(`${key}:reserved`, someUser())
        .exec();
    await sleep(random.exponential(30));
  }
}

function product(rank) {
  const title = ['Copper kettle', 'Oak stool', 'Wool throw', 'Garden lamp', 'Enamel mug'][rank % 5];
  return JSON.stringify({
    id: rank,
    title: `${title} no. ${rank}`,
    priceCents: 499 + ((rank * 37) % 20_000),
    stock: rank % 90,
    tags: ['home', rank % 2 ? 'sale' : 'new'],
    text: 'Hand made, ships in two days. '.repeat(rank % 7),
  });
}

function profile({ name, email }) {
  return {
    name,
    email,
    locale: random.pick(['en-GB', 'de-AT', 'es-ES']),
    plan: random.pick(['free', 'free', 'plus']),
    visits: 0,
    createdAt: '2023-11-02T09:30:00.000Z',
  };
}
