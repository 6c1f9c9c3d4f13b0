/** A workload that is faster or slower than it was captured → what the server's own clock makes different. */
import type { Caveat } from '../errors.ts';
import type { Model } from '../model/model.ts';

/** Speeds are the same within 5 %. */
const SAME_SPEED = 0.05;

/** `speed`: times the captured rate. Expiries last as long whatever it is. */
export function speedCaveats({ families }: Pick<Model, 'families'>, speed: number): Caveat[] {
  const expiring = families.filter(({ ttlSeconds }) => ttlSeconds.length > 0);
  if (expiring.length === 0 || isSameSpeed(speed)) return [];
  const byScripts = expiring.filter(({ requests, scriptRequests }) => scriptRequests > requests).length;
  const some = `${expiring.length} famil${expiring.length === 1 ? 'y' : 'ies'}`;
  return [
    {
      id: 'expiries-real-time',
      message: `The workload runs ${speed.toPrecision(2)} times as fast as it was captured, but expiries last as long as they did: keys of ${some} expire after ${speed > 1 ? 'more' : 'fewer'} requests than in production, and misses and memory differ.${
        byScripts === 0
          ? ''
          : ` ${byScripts === expiring.length ? 'They are' : `${byScripts} of them are`} mostly used by scripts: where such keys limit rates or tell what is going on, scripts go other ways, and execute other commands than they did.`
      }`,
      advice:
        'Rehearse at --rate 1x as well where the hit ratio, memory or the mix of commands inside scripts decides.',
      numbers: { speed, families: expiring.length, scripts: byScripts },
    },
  ];
}

export const isSameSpeed = (speed: number) => Math.abs(Math.log(speed)) <= SAME_SPEED;
