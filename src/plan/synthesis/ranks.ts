/** A family's statistics → what each of its keys, numbered by popularity, is like. */
import type { Family } from '../../model/model.ts';
import { mix } from '../random.ts';

/** Requests of each key of a family, most popular first; keys that only scripts touch have none. */
export function requestsByRank(family: Family): Uint32Array {
  const requests = new Uint32Array(family.keys);
  let key = 0;
  for (let i = family.references.length - 1; i >= 0; i--) {
    const [count, keys] = family.references[i]!;
    for (let n = 0; n < keys && key < requests.length; n++) requests[key++] = count;
  }
  return requests;
}

/** Whether key `key` of family number `family` exists before the workload begins. */
export function existedBefore(family: Family, number: number, key: number, requests: number): boolean {
  const klass = family.classes.find((c) => c.class === popularityOf(requests));
  const place = mix(number, key, 7) / 2 ** 32;
  if (place >= (klass?.readFirst ?? 0)) return false;
  return place < (klass?.found ?? 0) || mix(number, key, 8) / 2 ** 32 < family.existing;
}

/** Popularity class ⌊log2 requests⌋. */
export const popularityOf = (requests: number) => 31 - Math.clz32(Math.max(1, requests));
