/** A model → the keys that exist before the workload begins, as commands that create them. */
import type { Family, Model } from '../model/model.ts';
import { intern } from '../model/tally.ts';
import { Elements, identified } from './calls.ts';
import { groupCreation, groupsOfFamilies } from './consumer-groups.ts';
import { type Contents, creation, payloadEnd } from './contents.ts';
import { KeyExpiries } from './expiries.ts';
import type { KeyMaker } from './keys.ts';
import type { Preload } from './plan.ts';
import { Alias, Sampler, stream } from './random.ts';
import { existedBefore, requestsByRank } from './ranks.ts';
import { RespWriter, share } from './resp.ts';
import { ScriptKeys } from './script-keys.ts';
import { element } from './values.ts';

/** A value size for families that the capture only reads. */
const UNKNOWN_VALUE_BYTES = 128;
const MAX_ELEMENTS = 256;
/** Keys that the capture never touched have numbers from this multiple of their family's keys on. */
const UNTOUCHED = 1024;
const MAX_UNTOUCHED = 5_000_000;
/** Argument position (from 0, behind the command) of the element that a command names. */
const ELEMENT_POSITION: Record<string, number> = {
  ...{ hget: 1, hset: 1, hsetnx: 1, hdel: 1, hexists: 1, hincrby: 1, hincrbyfloat: 1, hmget: 1 },
  ...{ sadd: 1, srem: 1, sismember: 1, smismember: 1, zadd: 2, zincrby: 2, zrem: 1, zscore: 1, zrank: 1, zrevrank: 1 },
  ...{ lpush: 1, rpush: 1, lrem: 2, pfadd: 1 },
};

/** Creates the keys that the capture reads before it writes them, with their type and plausible contents. */
export function preloadOf(model: Model, makers: KeyMaker[], seed: string): Preload {
  const writers = new Map<number, { writer: RespWriter; commands: number; keys: number }>();
  const result: Preload = { commands: 0, keys: 0, logicalBytes: 0, databases: [] };
  const scriptKeys = new ScriptKeys(model, makers);
  const groups = groupsOfFamilies(model);
  const creators = model.families.map((family, number) => {
    const random = stream(seed, 'preload', number);
    const contents = contentsOf(model, family, number);
    return (key: number, existed = true) => {
      const text = scriptKeys.textOf(number, key);
      const name = text === undefined ? makers[number]!.key(key) : model.stretch.texts[text]!;
      const commands = existed ? creation(name, contents(key), random) : [];
      for (const group of groups.get(number) ?? []) commands.push(groupCreation(name, group));
      if (commands.length === 0) return;
      const database = intern(writers, family.db, () => ({ writer: new RespWriter(), commands: 0, keys: 0 }));
      database.keys++;
      result.keys++;
      result.logicalBytes += name.length;
      for (const command of commands) {
        database.writer.begin(command.length);
        for (const argument of command) database.writer.text(argument);
        database.commands++;
        const payload = command.slice(2, payloadEnd(command[0]!, command.length));
        for (const argument of payload) result.logicalBytes += argument.length;
      }
    };
  });
  model.families.forEach((family, number) => {
    if (!groups.has(number) && family.existing === 0 && family.classes.every(({ found = 0 }) => found === 0)) return;
    const requests = requestsByRank(family);
    for (let key = 0; key < requests.length && requests[key]! > 0; key++) {
      const existed = existedBefore(family, number, key, requests[key]!);
      if (existed || groups.has(number)) creators[number]!(key, existed);
    }
  });
  for (const [db, keys] of model.keysAtStart ?? []) {
    const missing = Math.min(MAX_UNTOUCHED, keys - (writers.get(db)?.keys ?? 0));
    const families = model.families.flatMap((family, number) =>
      family.db === db && family.requests > 0 ? number : [],
    );
    if (missing <= 0 || families.length === 0) continue;
    // What the capture never touched is like what it touched.
    const like = new Alias(families.map((number) => model.families[number]!.keys));
    const random = stream(seed, 'untouched', db);
    for (let i = 0; i < missing; i++) {
      const number = families[like.draw(random)]!;
      creators[number]!(UNTOUCHED * model.families[number]!.keys + i);
    }
  }
  for (const [db, { writer, commands }] of writers) {
    result.commands += commands;
    result.databases.push({ db, commands, bytes: share(writer.view()) });
  }
  return result;
}

/** What each key of a family holds: the fields that the capture names, or its own part of the elements. */
function contentsOf(model: Model, family: Family, number: number): (key: number) => Contents {
  const fields = new Map<string, boolean>();
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
    if (!shape.command.startsWith('hset') && shape.command !== 'hmset') continue;
    for (let i = 1; i + 1 < shape.roles.length; i += 2) {
      const field = shape.roles[i]!;
      const value = shape.roles[i + 1]!;
      if ('literals' in field)
        for (const [text] of field.literals) fields.set(text, fields.get(text) === true || 'integers' in value);
    }
  }
  const valueBytes = new Sampler(family.valueBytes, UNKNOWN_VALUE_BYTES);
  const expiries = new KeyExpiries(family, number);
  const lasting = new Map<unknown, Sampler | undefined>();
  return (key) => {
    const ttls = expiries.ofClass(key);
    const ttlSeconds = intern(lasting, ttls, () => {
      // What is read at some time of the capture has not expired until then.
      const longest = ttls.at(-1)?.[0] ?? 0;
      const enough = ttls.filter(([seconds]) => seconds >= Math.min(longest, model.source.spanSeconds));
      return enough.length > 0 ? new Sampler(enough, 0) : undefined;
    });
    if (fields.size > 0 || !universe) return { type: family.type, valueBytes, ttlSeconds, elements: fields };
    const { sizes, elements, position } = universe;
    const names = Array.from({ length: Math.min(MAX_ELEMENTS, elements.perKey) }, (_, rank): [string, boolean] => {
      const e = elements.of(key, rank);
      return [element(sizes.draw(identified(position, e)), e), false];
    });
    return { type: family.type, valueBytes, ttlSeconds, elements: new Map(names) };
  };
}
