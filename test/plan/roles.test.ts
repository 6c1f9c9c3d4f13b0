/** Connections with fixed roles: what one service makes, fills or removes, others find as often as they did. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { mulberry32 } from '../../src/model/random.ts';
import { Synthesis } from '../../src/plan/synthesis/synthesize.ts';
import { Lookups, lookupsOf } from '../support/lookups.ts';
import { type Line, modelOf, zipfRanks } from '../support/workload.ts';

const START_US = 1_700_000_000e6;
const SECONDS = 20;
const BODY = 'x'.repeat(200);

/** Things happen at their times, and make other things happen; what is said is captured, and a server answers. */
class Production {
  readonly lines: Line[] = [];
  readonly lookups = new Lookups();
  readonly random: () => number;
  private readonly due: { atUs: number; happens: (atUs: number) => void }[] = [];

  constructor(seed: number) {
    this.random = mulberry32(seed);
  }

  at(atUs: number, happens: (atUs: number) => void): void {
    if (atUs < SECONDS * 1e6) this.due.push({ atUs, happens });
  }

  often(perSecond: number, happens: (atUs: number) => void): void {
    const again = (atUs: number) => {
      happens(atUs);
      this.at(atUs + this.waitUs(1e6 / perSecond), again);
    };
    this.at(this.waitUs(1e6 / perSecond), again);
  }

  /** Exponential, of this mean. */
  waitUs(meanUs: number): number {
    return -Math.log(1 - this.random()) * meanUs;
  }

  upTo(n: number): number {
    return Math.floor(this.random() * n);
  }

  say(atUs: number, client: string, ...args: string[]): boolean {
    this.lines.push({ atUs: START_US + Math.round(atUs), client, args });
    return this.lookups.execute(atUs, args);
  }

  run(): Line[] {
    while (this.due.length > 0) {
      this.due.sort((a, b) => b.atUs - a.atUs);
      const { atUs, happens } = this.due.pop()!;
      happens(atUs);
    }
    return this.lines.sort((a, b) => a.atUs - b.atUs);
  }
}

const reader = (n: number) => `10.0.0.1:${1000 + n}`;
const writer = (n: number) => `10.0.0.2:${2000 + n}`;

/** Readers miss; connections of a pool of their own fill the cache some milliseconds later. */
function filledByOthers(production: Production): void {
  const ranks = zipfRanks(0.9, 2000, 500 * SECONDS * 2, 1);
  production.often(500, (atUs) => {
    const key = `page:${1000 + ranks.pop()!}`;
    if (production.say(atUs, reader(production.upTo(8)), 'get', key)) return;
    production.at(atUs + 1000 + production.waitUs(3000), (later) =>
      production.say(later, writer(production.upTo(2)), 'set', key, BODY, 'EX', '4'),
    );
  });
}

/** Readers miss and queue a job; a worker fills the cache when it is done, for all who have asked meanwhile. */
function filledByJobs(production: Production): void {
  const ranks = zipfRanks(0.8, 1500, 400 * SECONDS * 2, 2);
  const queued = new Set<string>();
  production.often(400, (atUs) => {
    const key = `report:${1000 + ranks.pop()!}`;
    const client = reader(production.upTo(6));
    if (production.say(atUs, client, 'get', key)) return;
    production.say(atUs + 800, client, 'lpush', 'jobs', key);
    if (queued.has(key)) return;
    queued.add(key);
    const worker = production.upTo(40);
    production.at(atUs + 20_000 + production.waitUs(60_000), (later) => {
      queued.delete(key);
      production.say(later, writer(worker), 'setex', key, '5', BODY);
      production.say(later + 500, writer(100 + worker), 'brpop', 'jobs', '5');
    });
  });
}

/** One service makes records, one reads the latest, one removes some. */
function sharedByServices(production: Production): void {
  let made = 5000;
  const alive: number[] = [];
  production.often(40, (atUs) => {
    alive.push(made);
    production.say(atUs, writer(made % 2), 'hset', `profile:${made++}`, 'name', BODY, 'mail', 'm');
  });
  production.often(250, (atUs) => {
    const back = Math.min(alive.length - 1, Math.floor(production.waitUs(60)));
    if (back >= 0) production.say(atUs, reader(production.upTo(4)), 'hgetall', `profile:${alive.at(-1 - back)}`);
  });
  production.often(10, (atUs) => {
    if (alive.length < 50) return;
    const [id] = alive.splice(production.upTo(alive.length - 40), 1);
    production.say(atUs, '10.0.0.3:3000', 'del', `profile:${id}`);
  });
}

/** Clients fill what they miss, and remove what was changed, popular things more often; all three do other things meanwhile. */
function removedMeanwhile(production: Production): void {
  const ranks = zipfRanks(1, 300, 400 * SECONDS * 2, 3);
  const product = () => `product:${1000 + ranks.pop()!}`;
  production.often(300, (atUs) => {
    const key = product();
    const client = reader(production.upTo(3));
    if (production.say(atUs, client, 'get', key)) return;
    production.at(atUs + 2000 + production.upTo(20_000), (later) =>
      production.say(later, client, 'set', key, BODY, 'EX', '600'),
    );
  });
  production.often(6, (atUs) => production.say(atUs, reader(production.upTo(3)), 'del', product()));
}

/** A service makes keys and renews them by timers until it ends; others ask for what there is, and for what there was. */
function renewed(
  production: Production,
  renew: (atUs: number, key: string) => void,
  ttl: string,
  periodUs: number,
): void {
  const made: string[] = [];
  for (let k = 0; k < 200; k++) {
    const key = `lease:${1000 + k}`;
    const endsUs = k % 5 === 0 ? 3e6 + production.upTo(15e6) : Number.POSITIVE_INFINITY;
    const again = (atUs: number) => {
      if (atUs > endsUs) return;
      renew(atUs, key);
      production.at(atUs + periodUs + production.upTo(periodUs / 50), again);
    };
    production.at(production.upTo(periodUs), (atUs) => {
      made.push(key);
      production.say(atUs, writer(k % 3), 'set', key, BODY, 'EX', ttl);
      production.at(atUs + periodUs, again);
    });
  }
  production.often(300, (atUs) => {
    if (made.length < 6) return;
    production.say(atUs, reader(production.upTo(6)), 'get', made[Math.floor(made.length * production.random() ** 2)]!);
  });
}

function leasesProlonged(production: Production): void {
  renewed(production, (atUs, key) => production.say(atUs, writer(0), 'expire', key, '4'), '4', 3.2e6);
}

function ratesSetAgain(production: Production): void {
  renewed(production, (atUs, key) => production.say(atUs, writer(0), 'set', key, BODY, 'EX', '3'), '3', 2e6);
}

/** Who asks in between finds nothing, but it is not for that that it is made again. */
function ratesSetLate(production: Production): void {
  renewed(production, (atUs, key) => production.say(atUs, writer(0), 'set', key, BODY, 'EX', '2'), '2', 2.5e6);
}

/** Workers handle what was made seconds ago, and then remove it. */
function handledLater(production: Production): void {
  let made = 5000;
  production.often(60, (atUs) => {
    const key = `task:${made++}`;
    production.say(atUs, writer(made % 2), 'hset', key, 'body', BODY);
    production.at(atUs + 2e6 + production.waitUs(1e6), (later) => {
      production.say(later, reader(production.upTo(4)), 'hgetall', key);
      production.at(later + 5000, (end) => production.say(end, reader(10 + production.upTo(2)), 'del', key));
    });
  });
}

/** The same, but what waits too long has expired. */
function handledTooLate(production: Production): void {
  let made = 5000;
  production.often(60, (atUs) => {
    const key = `task:${made++}`;
    production.say(atUs, writer(made % 2), 'set', key, BODY, 'EX', '3');
    production.at(atUs + 1e6 + production.waitUs(1.5e6), (later) => {
      if (!production.say(later, reader(production.upTo(4)), 'get', key)) return;
      production.at(later + 5000, (end) => production.say(end, reader(10 + production.upTo(2)), 'del', key));
    });
  });
}

const SERVICES = [
  ...[filledByOthers, filledByJobs, sharedByServices, removedMeanwhile],
  ...[leasesProlonged, ratesSetAgain, ratesSetLate, handledLater, handledTooLate],
];

suite('roles', () => {
  for (const make of SERVICES) {
    test(make.name, async (t) => {
      const production = new Production(7);
      make(production);
      const model = await modelOf(production.run());
      const captured = production.lookups.ratio;
      const ratios = ['1', '2', '3'].map((seed) => {
        const synthesis = new Synthesis(model, { seed, epochSeconds: 1_700_000_000 });
        // Nothing had been there: what was read first was missed.
        assert.equal(synthesis.plan.preload.keys, 0);
        return lookupsOf(synthesis, SECONDS).ratio;
      });
      const mean = ratios.reduce((sum, ratio) => sum + ratio, 0) / ratios.length;
      t.diagnostic(`captured ${captured.toFixed(4)}, synthesized ${ratios.map((r) => r.toFixed(4)).join(', ')}`);
      assert.ok(Math.abs(mean - captured) <= 0.02, `hit ratio ${mean}, captured ${captured}`);
    });
  }

  test('at twice the rate keys expire after twice the requests, and are missed less often', async () => {
    const production = new Production(7);
    filledByOthers(production);
    const model = await modelOf(production.run());
    const rate = 2 * Synthesis.capturedRate(model);
    const { ratio } = lookupsOf(new Synthesis(model, { seed: '1', epochSeconds: 1_700_000_000, rate }), SECONDS / 2);
    assert.ok(ratio > production.lookups.ratio + 0.05, `${ratio}, captured ${production.lookups.ratio}`);
  });
});
