/** A model → the keys that exist before the workload begins, as commands that create them. */
import type { Family, Model } from '../../model/model.ts';
import { intern } from '../../model/tally.ts';
import type { Preload } from '../plan.ts';
import { Sampler, stream } from '../random.ts';
import { Elements, identified } from '../synthesis/calls.ts';
import { KeyExpiries } from '../synthesis/expiries.ts';
import type { KeyMaker } from '../synthesis/keys.ts';
import { existedBefore, requestsByRank } from '../synthesis/ranks.ts';
import { ScriptKeys } from '../synthesis/script-keys.ts';
import { element } from '../synthesis/values.ts';
import { groupCreation, groupsOfFamilies } from './consumer-groups.ts';
import { creation, lastingSeconds } from './contents.ts';
import { preloadFrom } from './filling.ts';
import { hashFieldsOf } from './hash-fields.ts';
import { StoredKinds, storedType } from './stored.ts';
import { type KeyContents, makeUntouched, untouchedKeys } from './untouched.ts';

/** A value size for families that the capture only reads. */
const UNKNOWN_VALUE_BYTES = 128;
const MAX_ELEMENTS = 256;
/** Argument position (from 0, behind the command) of the element that a command names. */
const ELEMENT_POSITION: Record<string, number> = {
  ...{ hget: 1, hset: 1, hsetnx: 1, hdel: 1, hexists: 1, hincrby: 1, hincrbyfloat: 1, hmget: 1 },
  ...{ sadd: 1, srem: 1, sismember: 1, smismember: 1, zadd: 2, zincrby: 2, zrem: 1, zscore: 1, zrank: 1, zrevrank: 1 },
  ...{ lpush: 1, rpush: 1, lrem: 2, pfadd: 1 },
};

/** Creates the keys that the capture reads before it writes them, and those that it never touches. */
export function preloadOf(model: Model, makers: KeyMaker[], seed: string, limitBytes?: number): Preload {
  const { families, stretch } = model;
  const scriptKeys = new ScriptKeys(model, makers);
  const firstTexts = { text: (number: number) => stretch.texts[number]! };
  const groups = groupsOfFamilies(model);
  const contents = families.map((family, number) => contentsOf(model, family, number));
  const touchedOf = (number: number) => touchedKeys(families[number]!, number, groups.has(number));
  const touched = families.map((_, number) => {
    let keys = 0;
    for (const _key of touchedOf(number)) keys++;
    return keys;
  });
  const counts = untouchedKeys(model, touched, limitBytes);
  const groupsFor = (number: number, name: string) =>
    (groups.get(number) ?? []).map((group) => groupCreation(name, group));
  return preloadFrom([...new Set(families.map(({ db }) => db))], function* (db) {
    for (const [number, family] of families.entries()) {
      if (family.db !== db || touched[number] === 0) continue;
      const random = stream(seed, 'preload', number);
      for (const { key, existed } of touchedOf(number)) {
        const name = scriptKeys.nameOf(number, key, firstTexts);
        const made = existed ? creation(name, contents[number]!(key, random), random) : [];
        yield { name, commands: both(made, groupsFor(number, name)) };
      }
    }
    yield* makeUntouched(model, db, { makers, contents, seed, counts, groupsFor });
  });
}

function* both<T>(first: Iterable<T>, second: Iterable<T>): Generator<T> {
  yield* first;
  yield* second;
}

/** Those that are there when the workload begins, and that it finds: with `all`, also such as begin with nothing but groups. */
function* touchedKeys(family: Family, number: number, all: boolean): Generator<{ key: number; existed: boolean }> {
  if (family.type === 'unknown') return;
  if (!all && family.existing === 0 && family.classes.every(({ found = 0 }) => found === 0)) return;
  const requests = requestsByRank(family);
  for (let key = 0; key < requests.length && requests[key]! > 0; key++) {
    const existed = existedBefore(family, number, key, requests[key]!);
    if (existed || all) yield { key, existed };
  }
}

/** What each key of a family holds: the fields that the capture names, or its own part of the elements. */
function contentsOf(model: Model, family: Family, number: number): KeyContents {
  const { names: fields, valueBytes: fieldBytes } = hashFieldsOf(model, number);
  let universe: { sizes: Sampler; elements: Elements; position: number } | undefined;
  for (const shape of model.shapes) {
    const position = ELEMENT_POSITION[shape.command];
    if (shape.family !== number || shape.script !== undefined || position === undefined) continue;
    const role = shape.roles[position];
    const counts = shape.command.startsWith('hincr');
    if (role && 'literals' in role)
      for (const [text] of role.literals) fields.set(text, counts || fields.get(text) === true);
    if (role && 'bytes' in role) {
      universe = { sizes: new Sampler(role.bytes, 8), elements: new Elements(family, role.distinct), position };
    }
  }
  const valueBytes = new Sampler(family.type === 'hash' ? fieldBytes : family.valueBytes, UNKNOWN_VALUE_BYTES);
  const expiries = new KeyExpiries(family, number);
  const lasting = new Map<unknown, Sampler | undefined>();
  const { spanSeconds } = model.source;
  const kinds = StoredKinds.of(family.atStart?.kinds, { leastSeconds: spanSeconds, type: storedType(family.type) });
  return (key, random) => {
    const stored = kinds?.draw(random);
    const ttls = expiries.ofClass(key);
    const captured = intern(lasting, ttls, () => lastingSeconds(ttls, spanSeconds));
    const ttlSeconds = family.ttlSeconds.length > 0 ? captured : stored?.expiry(random);
    const held = { type: family.type, valueBytes, ttlSeconds, stored };
    if (fields.size > 0 || !universe) return { ...held, elements: fields };
    const { sizes, elements, position } = universe;
    const names = Array.from({ length: Math.min(MAX_ELEMENTS, elements.perKey) }, (_, rank): [string, boolean] => {
      const e = elements.of(key, rank);
      return [element(sizes.draw(identified(position, e)), e), false];
    });
    return { ...held, elements: new Map(names) };
  };
}
