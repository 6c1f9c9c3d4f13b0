/** The options of a call → what tells calls apart whose arguments stand at the same places and mean different things. */
import type { CallBytes } from './shapes.ts';

/** Commands with options, and the argument index from which on they stand; what is stored stands before or is none. */
const OPTIONS_FROM: Record<string, number> = {
  ...{ set: 3, getex: 2, zadd: 2, xadd: 2, xtrim: 2, xread: 1, xreadgroup: 4, xrange: 4, xrevrange: 4, xpending: 3 },
  ...{ xclaim: 5, xautoclaim: 6, zrange: 4, zrangestore: 5, zrangebyscore: 4, zrevrangebyscore: 4, zrangebylex: 4 },
  ...{ zrevrangebylex: 4, sort: 2, sort_ro: 2, scan: 2, hscan: 3, sscan: 3, zscan: 3, geosearch: 2, geosearchstore: 3 },
  ...{ georadius: 6, georadius_ro: 6, georadiusbymember: 5, georadiusbymember_ro: 5, bitfield: 2, bitfield_ro: 2 },
  ...{ hgetex: 2, hsetex: 2, zunion: 3, zinter: 3, zunionstore: 4, zinterstore: 4, lpos: 3 },
};

const WORDS =
  `ACKED AGGREGATE ALPHA ANY ASC BLOCK BY BYBOX BYLEX BYRADIUS BYSCORE CH COUNT DELREF DESC EX EXAT FIELDS FNX
  FORCE FROMLONLAT FROMMEMBER FXX GET GT IDLE INCR INCRBY JUSTID KEEPREF KEEPTTL LASTID LIMIT LT MATCH MAXLEN MINID NOACK
  NOMKSTREAM NOVALUES NX OVERFLOW PERSIST PX PXAT RANK RETRYCOUNT REV SET STORE STOREDIST STREAMS TIME TYPE WEIGHTS
  WITHCOORD WITHDIST WITHHASH WITHSCORES XX`.split(/\s+/);
const LONGEST = Math.max(...WORDS.map(({ length }) => length));
const TEXTS = new Map(WORDS.map((word) => [hashOf(word), word]));
/** The hashes in TEXTS, each at the first free place from that of its lowest bits on: to be looked up for every call. */
const PLACES = new Int32Array(256);
for (const hash of TEXTS.keys()) {
  let place = hash & 255;
  while (PLACES[place] !== 0) place = (place + 1) & 255;
  PLACES[place] = hash;
}
const [MAXLEN, MINID, LIMIT] = ['MAXLEN', 'MINID', 'LIMIT'].map(hashOf);
/** Options behind which a value stands that could look like an option. */
const [MATCH, TYPE, FROMMEMBER] = ['MATCH', 'TYPE', 'FROMMEMBER'].map(hashOf);
const [EQUAL, TILDE] = [0x3d, 0x7e];
const [LETTER_A, LETTER_Z] = [0x61, 0x7a];

/** Where a command has its options, and how. */
export interface OptionPlaces {
  /** Argument index from which on they stand. */
  from: number;
  /** They end at the first argument that is none: what follows is of the user. */
  first: boolean;
  /** A length or an id, with or without a mark, stands behind some. */
  trims: boolean;
}

/** Undefined for a command without options. */
export function optionPlaces(command: string): OptionPlaces | undefined {
  const from = OPTIONS_FROM[command];
  return from === undefined
    ? undefined
    : { from, first: command === 'zadd' || command === 'xadd', trims: command === 'xadd' };
}

/** The options of the call that was read last. */
export class Form {
  /** Equal for calls with the same options at the same places, 0 for none. */
  hash = 0;
  /** Where what the options are about begins, for commands that have them first. */
  end = 0;
  private call: CallBytes | undefined;
  private places: OptionPlaces | undefined;

  read(call: CallBytes, places: OptionPlaces): void {
    this.call = call;
    this.places = places;
    this.look(call, places);
  }

  /** As text: index and word of each option. Only for new forms: it is read again, as words of their own are garbage. */
  get text(): string {
    const words: string[] = [];
    this.look(this.call!, this.places!, words);
    return words.join(' ');
  }

  private look(call: CallBytes, { from, first, trims }: OptionPlaces, words?: string[]): void {
    this.hash = 0;
    this.end = from;
    const { argCount } = call;
    for (let i = from; i < argCount; i++) {
      const word = wordAt(call, i);
      if (word === 0 && first) return;
      if (word === 0) continue;
      this.note(i, word, words);
      if (word === MATCH || word === TYPE || word === FROMMEMBER) i++;
      if (trims && (word === MAXLEN || word === MINID)) {
        if (isMark(call, i + 1)) this.note(++i, MARK, words);
        i++;
      } else if (trims && word === LIMIT) i++;
      this.end = i + 1;
    }
  }

  private note(index: number, word: number, words: string[] | undefined): void {
    this.hash = Math.imul(this.hash ^ (word + index), 0x85ebca6b) | 1;
    words?.push(`${index} ${TEXTS.get(word) ?? '~'}`);
  }
}

/** In the place of a word: `=` or `~` before a length. */
const MARK = 1;

function isMark(call: CallBytes, index: number): boolean {
  if (index >= call.argCount || call.argLength(index) !== 1) return false;
  const byte = call.bytes[call.argStart(index)]!;
  return byte === EQUAL || byte === TILDE;
}

/** Hash of the option word that stands there, in any case; 0 for anything else. */
function wordAt(call: CallBytes, index: number): number {
  const { bytes } = call;
  const start = call.argStart(index);
  const end = call.argEnd(index);
  if (end - start > LONGEST || end - start < 2) return 0;
  const letter = bytes[start]! | 0x20;
  if (letter < LETTER_A || letter > LETTER_Z) return 0;
  let hash = 0;
  for (let at = start; at < end; at++) hash = (Math.imul(hash, 31) + (bytes[at]! | 0x20)) | 0;
  let place = hash & 255;
  while (PLACES[place] !== hash && PLACES[place] !== 0) place = (place + 1) & 255;
  return PLACES[place]!;
}

function hashOf(word: string): number {
  let hash = 0;
  for (const byte of Buffer.from(word)) hash = (Math.imul(hash, 31) + (byte | 0x20)) | 0;
  return hash;
}
