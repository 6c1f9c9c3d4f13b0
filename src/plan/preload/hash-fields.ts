/** The HSETs of a family → which fields its hashes have, and how long the values are. */
import type { ValueCounts } from '../../model/histogram.ts';
import type { Model, Role } from '../../model/model.ts';

export interface HashFields {
  /** latin1; true where a number stands under the name. Empty: no words of which there are few. */
  names: Map<string, boolean>;
  /** Of all fields; empty where nobody wrote one. */
  valueBytes: ValueCounts;
}

const WRITES = new Set(['hset', 'hmset', 'hsetnx']);
/** Milliseconds. */
const TIME_DIGITS = 13;

export function hashFieldsOf({ shapes }: Pick<Model, 'shapes'>, family: number): HashFields {
  const names = new Map<string, boolean>();
  const valueBytes: ValueCounts = [];
  for (const shape of shapes) {
    if (shape.family !== family || shape.script !== undefined || !WRITES.has(shape.command)) continue;
    for (let i = 1; i + 1 < shape.roles.length; i += 2) {
      const [field, value] = shape.roles.slice(i, i + 2) as [Role, Role];
      valueBytes.push(...sizesOf(value));
      if (!('literals' in field)) continue;
      for (const [text] of field.literals) names.set(text, names.get(text) === true || isNumber(value));
    }
  }
  return { names, valueBytes };
}

const isNumber = (role: Role) =>
  'integers' in role || ('literals' in role && role.literals.every(([text]) => /^-?\d+$/.test(text)));

function sizesOf(role: Role): ValueCounts {
  if ('bytes' in role) return role.bytes;
  if ('literals' in role) return role.literals.map(([text, n]) => [text.length, n]);
  if ('integers' in role) return role.integers.map(([value, n]) => [String(value).length, n]);
  if ('numbers' in role) return role.numbers.map(([value, n]) => [String(value).length, n]);
  return 'times' in role ? role.offsets.map(([, n]) => [TIME_DIGITS, n]) : [];
}
