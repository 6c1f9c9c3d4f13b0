// A web shop's session store: express-session's store contract over connect-redis and node-redis, without the HTTP.
import { RedisStore } from 'connect-redis';
import { createClient } from 'redis';
import { openLoop, sleep } from './pace.js';
import { ipAddress, person, Random } from './random.js';
import { record } from './record.js';

const SECONDS = 15;
const USERS = 3000;
const WEB_PROCESSES = 8;
const LATE_PROCESSES = 2; // join under MONITOR, as in a rolling deployment
const MINUTE_MS = 60_000;

const PAGES = [
  '/',
  '/cart',
  '/checkout',
  '/account/orders',
  '/search?q=lamp',
  '/c/kitchen',
  '/c/garden',
  '/p/copper-kettle-41',
  '/p/oak-stool-7',
  '/help/returns',
];
const THINGS = ['Copper kettle', 'Oak stool', 'Wool throw', 'Garden lamp', 'Enamel mug', 'Linen apron', 'Brass hook'];

const random = new Random(20_240_501);
const users = Array.from({ length: USERS }, (_, index) => ({ id: 10_000 + index, ...person(random), sid: null }));
const popularUser = random.zipf(USERS, 1);

await record({
  name: 'sessions',
  libraries: ['express-session', 'connect-redis', 'redis'],

  async setup(target) {
    const webs = await Promise.all(
      Array.from({ length: WEB_PROCESSES - LATE_PROCESSES }, (_, index) => startWeb(target, index)),
    );
    for (const user of users) {
      if (random.chance(0.7)) await login(user, random.pick(webs).store);
    }
    return webs;
  },

  async workload(target, webs) {
    const deployment = sleep(3000).then(async () => {
      for (let index = webs.length; index < WEB_PROCESSES; index++) webs.push(await startWeb(target, index));
    });
    const dashboard = sleep(6000).then(() => webs[0].store.length());
    const endMs = Date.now() + SECONDS * 1000;
    await openLoop({
      seconds: SECONDS,
      perSecond: (second) => 255 * (1 + 0.35 * Math.sin(second / 2)),
      random,
      start: () => visit(users[popularUser()], webs, endMs),
    });
    await Promise.all([deployment, dashboard]);
    await Promise.all(webs.map(({ client }) => client.close()));
  },
});

async function startWeb({ host, port }, index) {
  const client = createClient({ socket: { host, port }, name: `web-${index + 1}` });
  await client.connect();
  return { client, store: new RedisStore({ client, prefix: 'sess:', ttl: 1800 }) };
}

/** A few requests of one browser, as long as the recording lasts; each lands on any web process. */
async function visit(user, webs, endMs) {
  do {
    await request(user, random.pick(webs).store);
    await sleep(random.exponential(120));
  } while (random.chance(0.7) && Date.now() < endMs);
}

/** What express-session's middleware does around a handler: get, then destroy, set (changed) or touch (unchanged). */
async function request(user, store) {
  const data = user.sid && (await store.get(user.sid));
  if (!data) return login(user, store);
  const sid = user.sid;
  const current = store.createSession({ sessionID: sid, sessionStore: store }, data);
  current.touch();
  const action = random.unit();
  if (action < 0.015) {
    user.sid = null;
    await store.destroy(sid);
  } else if (action < 0.075) {
    change(current);
    await store.set(sid, current);
  } else {
    await store.touch(sid, current);
  }
}

/** A new session id, as `req.session.regenerate()` gives; an anonymous session that was there is destroyed. */
async function login(user, store) {
  if (user.sid) await store.destroy(user.sid);
  user.sid = random.id(24);
  const maxAge = MINUTE_MS * random.pick([30, 30, 30, 30, 120, 14 * 24 * 60, 0.1]); // the last: a kiosk's 6 seconds
  const data = {
    cookie: {
      originalMaxAge: maxAge,
      expires: new Date(Date.now() + maxAge),
      httpOnly: true,
      secure: true,
      path: '/',
      sameSite: 'lax',
    },
    userId: user.id,
  };
  if (random.chance(0.75)) Object.assign(data, browserFields(user)); // the others are devices that hold a bare login
  const fresh = store.createSession({ sessionID: user.sid, sessionStore: store }, data);
  if (data.csrfSecret && random.chance(0.6)) change(fresh);
  await store.set(user.sid, fresh);
}

function browserFields({ name, email }) {
  return {
    user: {
      name,
      email,
      roles: random.pick([['customer'], ['customer'], ['customer', 'reviewer'], ['staff', 'orders:read']]),
    },
    csrfSecret: random.id(18),
    ip: ipAddress(random),
    locale: random.pick(['en-GB', 'de-DE', 'es-ES', 'fr-FR', 'sv-SE']),
  };
}

/** What a handler leaves behind: a viewed page, sometimes a cart, sometimes a message. Sessions grow to some 1.5 kB. */
function change(current) {
  current.lastSeenAt = new Date().toISOString();
  current.recent = [random.pick(PAGES), ...(current.recent ?? [])].slice(0, 8);
  if (random.chance(0.5)) {
    const lines = Math.min(9, Math.ceil(random.logNormal(1.5, 0.8)));
    const added = Array.from({ length: lines }, () => ({
      sku: `SKU-${random.between(1000, 9999)}`,
      title: random.pick(THINGS),
      quantity: random.between(1, 3),
      priceCents: 100 * random.between(4, 180) - 1,
    }));
    current.cart = { currency: 'EUR', items: [...(current.cart?.items ?? []), ...added].slice(-9) };
  }
  if (random.chance(0.15)) current.flash = { info: ['Your changes have been saved.'] };
  else delete current.flash;
}
