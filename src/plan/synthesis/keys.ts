/** Invents the keys of a family: key number i has the template's shape, the captured lengths, and is different from all others. */
import { quantileOf, type ValueCounts } from '../../model/histogram.ts';
import type { Family } from '../../model/model.ts';
import { intern } from '../../model/tally.ts';
import { mix } from '../random.ts';

const DIGITS: Record<string, string> = {
  hex: '0123456789abcdef',
  word: 'abcdefghijklmnopqrstuvwxyz',
  id: '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz',
};

/**
 * Keys that the capture never touched have numbers from here on. Ids that are numbers are counted from the other end, so
 * that they have the captured lengths and are no touched key's.
 */
export const UNTOUCHED = 2 ** 31;

/** So many keys of a family are not made again each time. */
const KNOWN_TEXTS = 1024;

/** Keys of one hash tag are as many as this where no family says how many tags there are. */
const KEYS_PER_TAG = 16;

/** Families whose keys share hash tags: `{user:{id}}:cart` and `{user:{id}}:orders`. */
interface TagGroup {
  /** What random choices of its tags begin with. */
  seed: number;
  /** Lengths of the placeholders in the tag. */
  lengths: ValueCounts[];
  tags: number;
  /** Tags of keys that were there at first. */
  tagsAtStart: number;
}

/** One maker per family, in their order; families whose keys have the same kind of hash tag have the same tags. */
export function keyMakers(families: Family[]): KeyMaker[] {
  const groups = new Map<string, { group: TagGroup; members: number[] }>();
  const tags = families.map((family) => variableTag(family.parts));
  tags.forEach((tag, number) => {
    if (!tag) return;
    const { group, members } = intern(groups, `${families[number]!.db} ${tag.shape}`, () => ({
      group: {
        seed: number,
        lengths: tag.places.map((p) => lengthsOf(families[number]!.parts[p]!)),
        tags: 0,
        tagsAtStart: 0,
      },
      members: [],
    }));
    members.push(number);
    // One key per tag: as many tags as keys.
    if (tag.places.length !== placesOf(families[number]!.parts).length) return;
    group.tags = Math.max(group.tags, families[number]!.keys);
    group.tagsAtStart = Math.max(group.tagsAtStart, families[number]!.atStart?.keys ?? 0);
  });
  const groupOf = new Map(
    [...groups.values()].flatMap(({ group, members }) => members.map((n) => [n, group] as const)),
  );
  for (const { group, members } of groups.values()) {
    const most = (of: (family: Family) => number) =>
      Math.max(1, ...members.map((number) => Math.ceil(of(families[number]!) / KEYS_PER_TAG)));
    group.tags ||= most(({ keys }) => keys);
    group.tagsAtStart ||= most(({ atStart }) => atStart?.keys ?? 0);
  }
  return families.map((family, number) => {
    const group = groupOf.get(number);
    return new KeyMaker(family, number, group && { group, places: tags[number]!.places });
  });
}

type Parts = Family['parts'];

const placesOf = (parts: Parts) => parts.flatMap((part, p) => (typeof part === 'string' ? [] : [p]));
const isDate = (part: Parts[number]) => typeof part !== 'string' && part.placeholder === 'date';
const lengthsOf = (part: Parts[number]) => (typeof part === 'string' ? [] : part.lengths);

/** The placeholders in the hash tag of such keys, and the tag's template; undefined without a tag, or with one tag for all. */
function variableTag(parts: Parts): { places: number[]; shape: string } | undefined {
  const places: number[] = [];
  let shape: string | undefined;
  for (const [p, part] of parts.entries()) {
    if (typeof part !== 'string') {
      if (shape === undefined) continue;
      places.push(p);
      shape += `{${part.placeholder}}`;
      continue;
    }
    const from = shape === undefined ? part.indexOf('{') + 1 : 0;
    if (shape === undefined && from === 0) continue;
    const to = part.indexOf('}', from);
    shape = (shape ?? '') + part.slice(from, to < 0 ? undefined : to);
    if (to >= 0) return places.length > 0 ? { places, shape } : undefined;
  }
  return undefined;
}

/** Keys of one family. */
export class KeyMaker {
  /** Equal for families that share tags. */
  readonly group: TagGroup | undefined;
  private readonly family: Family;
  private readonly number: number;
  private readonly places: number[];
  private readonly keysPerTag: number;
  private readonly untouchedPerTag: number;
  /** Which placeholder tells keys apart. */
  private readonly unique: number;
  /** Of each remainder, the last key that was asked for, and its text: most of a workload is about few keys. */
  private readonly known: number[] = [];
  private readonly texts: string[] = [];

  constructor(family: Family, number: number, tag?: { group: TagGroup; places: number[] }) {
    this.family = family;
    this.number = number;
    this.group = tag?.group;
    this.places = tag?.places ?? [];
    const others = placesOf(family.parts).filter((p) => !this.places.includes(p));
    // There are not as many days as other things.
    this.unique = others.findLast((p) => !isDate(family.parts[p]!)) ?? others.at(-1) ?? -1;
    const perTag = (keys: number, tags: number) => (tag && others.length > 0 ? Math.max(1, Math.ceil(keys / tags)) : 1);
    this.keysPerTag = perTag(family.keys, tag?.group.tags ?? 1);
    this.untouchedPerTag = perTag(family.atStart?.keys ?? 0, tag?.group.tagsAtStart ?? 1);
  }

  /** Key `index` as latin1 text; of keys that the capture never touched, `untouched` says how many there are. */
  key(index: number, untouched = 0): string {
    if (index >= UNTOUCHED) return this.make(index, untouched);
    const place = index % KNOWN_TEXTS;
    if (this.known[place] !== index) {
      this.known[place] = index;
      this.texts[place] = this.make(index, untouched);
    }
    return this.texts[place]!;
  }

  private make(index: number, untouched: number): string {
    const { parts, keys } = this.family;
    const isUntouched = index >= UNTOUCHED;
    const many = isUntouched ? keys + Math.max(untouched, index - UNTOUCHED + 1) : Math.max(keys, index + 1);
    let text = '';
    for (let p = 0; p < parts.length; p++) {
      const part = parts[p]!;
      if (typeof part === 'string') text += part;
      else if (this.places.includes(p))
        text += this.tagPart(part.placeholder, this.places.indexOf(p), this.tagOf(index));
      else {
        const spread = mix(this.number, index, p) / 2 ** 32;
        text += fill(
          part.placeholder,
          quantileOf(part.lengths, spread) || 8,
          index,
          mix(this.number, index, p, 1),
          p === this.unique ? many : 1,
        );
      }
    }
    return text;
  }

  /** Number of a key's tag, the same in all families of the group. */
  tagOf(index: number): number {
    if (index < UNTOUCHED) return Math.floor(index / this.keysPerTag);
    return UNTOUCHED + Math.floor((index - UNTOUCHED) / this.untouchedPerTag);
  }

  /** The key like this one that has that tag. */
  withTag(index: number, tag: number): number {
    return tag * this.keysPerTag + (index % this.keysPerTag);
  }

  private tagPart(placeholder: string, place: number, tag: number): string {
    const { seed, lengths, tags, tagsAtStart } = this.group!;
    const length = quantileOf(lengths[place]!, mix(seed, tag, place, 2) / 2 ** 32) || 8;
    const isLast = place === this.places.length - 1;
    const many = tag >= UNTOUCHED ? tags + Math.max(2 * tagsAtStart, tag - UNTOUCHED + 1) : Math.max(tags, tag + 1);
    return fill(placeholder, length, tag, mix(seed, tag, place, 3), isLast ? many : 1);
  }
}

/** Text for one placeholder. It is unique in `index` if it must tell `unique` keys apart. */
function fill(placeholder: string, length: number, index: number, hash: number, unique: number): string {
  switch (placeholder) {
    case 'int': {
      // A decimal number of that many digits without a leading zero; longer if `unique` keys need it.
      let digits = Math.min(15, Math.max(1, length));
      while (9 * 10 ** (digits - 1) < unique) digits++;
      return String(10 ** (digits - 1) + placeAmong(index, 9 * 10 ** (digits - 1)));
    }
    case 'date': {
      const day = new Date(Date.UTC(2000, 0, 1 + placeAmong(index, 36_000))).toISOString().slice(0, 10);
      return length === 8 ? day.replaceAll('-', '') : day;
    }
    case 'email':
      return `user${index}@example.com`;
    case 'ip': {
      const address = placeAmong(index, 2 ** 24);
      return `${10 + (hash % 200)}.${[16, 8, 0].map((shift) => (address >>> shift) & 255).join('.')}`;
    }
    case 'word':
      return scramble(DIGITS.word!, length, index, hash, unique);
    case 'uuid': {
      const hex = scramble(DIGITS.hex!, 32, index, hash, unique);
      return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
    }
    case 'hex':
      return scramble(DIGITS.hex!, length, index, hash, unique);
    default:
      return scramble(DIGITS.id!, length, index, hash, unique);
  }
}

/** From 0 up, for keys that the capture never touched from the top down. */
const placeAmong = (index: number, capacity: number) =>
  index < UNTOUCHED ? index % capacity : capacity - 1 - ((index - UNTOUCHED) % capacity);

/** `length` characters that look random; the last ones count `index`, as many as `unique` keys need. */
function scramble(alphabet: string, length: number, index: number, hash: number, unique: number): string {
  const base = alphabet.length;
  let capacity = 1;
  while (capacity < unique) capacity *= base;
  let counter = '';
  for (let rest = placeAmong(index, capacity); capacity > 1; capacity /= base, rest = Math.floor(rest / base))
    counter = alphabet[rest % base] + counter;
  let text = '';
  for (let i = 0; text.length + counter.length < length; i++) text += alphabet[mix(hash, i) % base];
  return text + counter;
}
