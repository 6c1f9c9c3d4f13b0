/** A key's bytes → tokens: constant words and typed placeholders, each with the delimiters before it. */
import { Kind, PLACEHOLDERS } from './parts.ts';

/** Templates are mined from this much of a key; an id takes the rest. */
const MAX_KEY_BYTES = 256;
/** Keys that people make have fewer parts than this; an id takes what comes behind them. */
const MAX_TOKENS = 32;
const MAX_WORD_BYTES = 40;
/** Letters in random data, or at the beginning of an id, are seldom as many. */
const MIN_REAL_WORD = 3;
/** Shorter tokens of hexadecimal digits are as likely something else. */
const MIN_HEX_BYTES = 8;
/** Shorter runs with `-` and `_` in them are as likely words with numbers. */
const MIN_RANDOM_BYTES = 16;
/** The same for what is behind `sess_`. */
const MIN_REST_BYTES = 12;

// Classes of characters, as bits: a token has the union of its bytes' classes.
const DIGIT = 1;
const LOWER = 2;
const UPPER = 4;
/** Control bytes and everything outside of ASCII: never part of a constant. */
const FOREIGN = 8;
/** A letter beyond f, beside its case. */
const BEYOND_HEX = 16;
/** Delimiters that base64 and base64url have inside of ids. */
const GLUE = 32;
const DELIMITER = 64;
const LETTER = LOWER | UPPER;
const CASE = DIGIT | LETTER | FOREIGN;
const ANY_DELIMITER = GLUE | DELIMITER;

const CLASS = Uint8Array.from({ length: 256 }, (_, byte) => {
  const character = String.fromCharCode(byte);
  if (byte < 32 || byte > 126) return FOREIGN;
  if (/\d/.test(character)) return DIGIT;
  if (/[a-z]/.test(character)) return character <= 'f' ? LOWER : LOWER | BEYOND_HEX;
  if (/[A-Z]/.test(character)) return character <= 'F' ? UPPER : UPPER | BEYOND_HEX;
  return /[-_+=~]/.test(character) ? GLUE : DELIMITER;
});
const code = (character: string) => character.charCodeAt(0);
const [DASH, DOT, SLASH, AT, EQUALS, OPEN, CLOSE] = [
  code('-'),
  code('.'),
  code('/'),
  code('@'),
  code('='),
  code('{'),
  code('}'),
];
const [ZERO, COLON, LETTER_V] = [code('0'), code(':'), code('v')];

// FNV-1a.
export const EMPTY_HASH = 0x811c9dc5 | 0;
const HASH_PRIME = 0x01000193;

/** Scans one key at a time; token i of `count` is then described by element i of each array. */
export class KeyScanner {
  count = 0;
  readonly kinds = new Uint8Array(MAX_TOKENS + 2);
  /** Hash of the delimiters and the word, or of the delimiters and the kind: what tokens are told apart by. */
  readonly labels = new Int32Array(MAX_TOKENS + 2);
  /** Hash of the delimiters alone. */
  readonly delimiterHashes = new Int32Array(MAX_TOKENS + 2);
  /** Delimiters are `bytes[froms..starts)`, the token `bytes[starts..ends)`. Delimiters that end a key precede an empty constant. */
  readonly froms = new Float64Array(MAX_TOKENS + 2);
  readonly starts = new Float64Array(MAX_TOKENS + 2);
  readonly ends = new Float64Array(MAX_TOKENS + 2);
  /** Of a loaded path: which of its tokens each token begins with. */
  readonly origins = new Uint8Array(MAX_TOKENS + 2);
  /** Hash of the key's first 256 bytes and its length. */
  hash = 0;

  private readonly tokens = [
    ...[this.kinds, this.labels, this.delimiterHashes, this.froms, this.starts, this.ends, this.origins],
  ];

  /** Up to here the bytes are known to be no random id with glue in it. */
  private plainEnd = 0;

  scan(bytes: Uint8Array, start: number, end: number): void {
    const limit = Math.min(end, start + MAX_KEY_BYTES);
    this.count = 0;
    this.hash = end - start;
    this.plainEnd = start;
    let at = start;
    while (at < limit) {
      const from = at;
      let hash = EMPTY_HASH;
      /** Where the glue begins that no other delimiter follows. */
      let glue = at;
      for (; at < limit; at++) {
        const c = CLASS[bytes[at]!]!;
        if ((c & ANY_DELIMITER) === 0) break;
        if (c === DELIMITER) glue = at + 1;
        hash = Math.imul(hash ^ bytes[at]!, HASH_PRIME);
      }
      if (this.count >= MAX_TOKENS || (at === limit && at < end)) {
        this.push(Kind.id, from, from, end, EMPTY_HASH);
        return;
      }
      if (at === limit) {
        this.mix(hash);
        this.pushWord(from, at, at, hash, hash);
        return;
      }
      at = this.readToken(bytes, start, from, glue, at, limit, end, hash);
    }
  }

  /** Reads the token at `start`, whose delimiters begin at `from`; returns where it ends. */
  private readToken(
    bytes: Uint8Array,
    keyStart: number,
    from: number,
    glue: number,
    start: number,
    limit: number,
    end: number,
    delimiterHash: number,
  ): number {
    let at = start;
    let hash = delimiterHash;
    let seen = 0;
    let last = 0;
    let changes = 0;
    let digitRuns = 0;
    let lastChange = start;
    let hashBefore = hash;
    for (; at < limit; at++) {
      const byte = bytes[at]!;
      const c = CLASS[byte]!;
      if ((c & ANY_DELIMITER) !== 0) break;
      if (((c ^ last) & CASE) !== 0) {
        changes++;
        if (c === DIGIT) digitRuns++;
        lastChange = at;
        hashBefore = hash;
        last = c;
      }
      seen |= c;
      hash = Math.imul(hash ^ byte, HASH_PRIME);
    }
    this.mix(hash);
    const next = at < limit ? bytes[at]! : 0;
    const length = at - start;

    if (at === limit && at < end) {
      this.push(Kind.id, from, start, end, delimiterHash);
      return end;
    }
    if ((seen & FOREIGN) !== 0) {
      if (isText(bytes, start, at)) this.push(Kind.id, from, start, at, delimiterHash);
      else this.takeBinary(bytes, keyStart, from, end);
      return this.ends[this.count - 1]!;
    }
    if (next !== 0 && (CLASS[next]! & ANY_DELIMITER) !== 0) {
      const known = this.readKnown(bytes, from, start, at, limit, seen, delimiterHash);
      if (known > 0) return known;
      if (next === AT) {
        const known = this.readEmail(bytes, keyStart, from, start, at, limit);
        if (known > 0) return known;
      }
    }
    if (next === EQUALS) {
      const padded = paddingEnd(bytes, at, limit);
      if (padded > at && (padded < end || limit === end)) {
        this.push(Kind.id, from, start, padded, delimiterHash);
        return padded;
      }
    }
    if (start >= this.plainEnd && (glue < start || (CLASS[next]! & GLUE) !== 0)) {
      // Glue may be an id's first character, but behind a word the first glue is a delimiter.
      const behindWord = glue === from && from > keyStart;
      const runEnd = this.readRandomRun(bytes, keyStart, from, behindWord ? from + 1 : glue, limit, end, behindWord);
      if (runEnd > 0) return runEnd;
    }

    if (seen === DIGIT) {
      const kind = length === 8 && isDate(bytes, start, 0) ? Kind.date : Kind.int;
      this.push(kind, from, start, at, delimiterHash);
    } else if ((seen & DIGIT) === 0) {
      const scrambled = length >= 8 && changes - 1 >= 0.45 * length;
      const kebabEnd = scrambled ? at : kebab(bytes, at, limit, this.plainEnd > at ? this.plainEnd : limit);
      if (kebabEnd > at) {
        for (let i = at; i < kebabEnd; i++) hash = Math.imul(hash ^ bytes[i]!, HASH_PRIME);
        this.mix(hash);
        // A title has more words than a name.
        if (kebabEnd - start > MAX_WORD_BYTES) this.push(Kind.word, from, start, kebabEnd, delimiterHash);
        else this.pushWord(from, start, kebabEnd, hash, delimiterHash);
        return kebabEnd;
      }
      const isConstant = length <= MAX_WORD_BYTES && !scrambled;
      if (!isConstant) this.push(Kind.id, from, start, at, delimiterHash);
      else if (next === CLOSE && bytes[start - 1] === OPEN && start > from && isPlaceholderName(bytes, start, at))
        this.push(Kind.word, from, start, at, delimiterHash);
      else this.pushWord(from, start, at, hash, delimiterHash);
    } else if ((seen & BEYOND_HEX) === 0 && length >= MIN_HEX_BYTES) {
      this.push(Kind.hex, from, start, at, delimiterHash);
    } else if (
      digitRuns === 1 &&
      last === DIGIT &&
      (changes - 2) * 3 <= lastChange - start &&
      lastChange - start <= MAX_WORD_BYTES
    ) {
      // `user123`; but the number in `v2` is part of the name.
      if (length <= 3 && lastChange === start + 1 && bytes[start] === LETTER_V)
        this.pushWord(from, start, at, hash, delimiterHash);
      else {
        this.pushWord(from, start, lastChange, hashBefore, delimiterHash);
        this.push(Kind.int, lastChange, lastChange, at, EMPTY_HASH);
      }
    } else this.push(Kind.id, from, start, at, delimiterHash);
    return at;
  }

  /** Takes all that is behind the last real word for binary data: what looked like words and delimiters in it was chance. */
  private takeBinary(bytes: Uint8Array, keyStart: number, from: number, end: number): void {
    let first = from;
    for (; this.count > 0; this.count--) {
      const last = this.count - 1;
      const length = this.ends[last]! - this.starts[last]!;
      const isFirst = this.starts[last] === keyStart && bytes[this.ends[last]!] === COLON;
      if (this.kinds[last] === Kind.constant && (length >= MIN_REAL_WORD || (isFirst && length > 0))) break;
      first = this.froms[last]!;
    }
    const start = (CLASS[bytes[first]!]! & ANY_DELIMITER) === 0 || first === keyStart ? first : first + 1;
    this.push(Kind.id, first, start, end, hashOf(bytes, first, start));
  }

  /** UUIDs, dates and IPv4 addresses, which have delimiters inside; returns the end, or 0 if the token is none. */
  private readKnown(
    bytes: Uint8Array,
    from: number,
    start: number,
    at: number,
    limit: number,
    seen: number,
    delimiterHash: number,
  ): number {
    const next = bytes[at]!;
    const length = at - start;
    let kind: Kind = Kind.constant;
    let end = 0;
    if (next === DASH && length === 8 && (seen & BEYOND_HEX) === 0) {
      end = start + 36;
      if (end <= limit && isUuid(bytes, start)) kind = Kind.uuid;
    } else if (seen === DIGIT && length === 4 && (next === DASH || next === SLASH || next === DOT)) {
      end = start + 10;
      if (end <= limit && isDate(bytes, start, next)) kind = Kind.date;
    } else if (seen === DIGIT && length <= 3 && next === DOT) {
      end = ipEnd(bytes, start, limit);
      if (end > 0) kind = Kind.ip;
    }
    if (kind === Kind.constant || (end < limit && (CLASS[bytes[end]!]! & ANY_DELIMITER) === 0)) return 0;
    this.mix(hashOf(bytes, at, end));
    this.push(kind, from, start, end, delimiterHash);
    return end;
  }

  /** The `@` at `at` may be that of an e-mail address, whose first tokens are then taken back. */
  private readEmail(
    bytes: Uint8Array,
    keyStart: number,
    from: number,
    start: number,
    at: number,
    limit: number,
  ): number {
    let local = start;
    while (local > keyStart && isMailbox(bytes[local - 1]!)) local--;
    let end = at + 1;
    let dots = 0;
    for (; end < limit && isMailbox(bytes[end]!); end++) if (bytes[end] === DOT) dots++;
    while (end > at + 1 && (CLASS[bytes[end - 1]!]! & ANY_DELIMITER) !== 0) end--;
    if (dots === 0 || end - at < 4) return 0;
    let first = from;
    while (this.count > 0 && this.starts[this.count - 1]! >= local) first = this.froms[--this.count]!;
    first = Math.min(first, local);
    this.mix(hashOf(bytes, at, end));
    this.push(Kind.email, first, local, end, hashOf(bytes, first, local));
    return end;
  }

  /** The run of letters, digits and glue at `start` as one id if it looks random; returns its end, or 0. */
  private readRandomRun(
    bytes: Uint8Array,
    keyStart: number,
    from: number,
    start: number,
    limit: number,
    end: number,
    behindWord: boolean,
  ): number {
    let at = start;
    while (at < limit && (CLASS[bytes[at]!]! & (DELIMITER | FOREIGN)) === 0) at++;
    this.plainEnd = at;
    const padded = bytes[at - 1] === EQUALS && (at - start) % 4 === 0 && at - start >= MIN_HEX_BYTES;
    if (!padded && !isRandom(bytes, start, at, behindWord ? MIN_REST_BYTES : MIN_RANDOM_BYTES)) return 0;
    const word = wordEnd(bytes, start, at);
    const shortest = start === keyStart ? 1 : MIN_REAL_WORD;
    const isPrefix = word - start >= shortest && word < at && (CLASS[bytes[word]!]! & GLUE) !== 0;
    if (isPrefix && isRandom(bytes, word + 1, at, MIN_REST_BYTES)) {
      // `sess_`, and then the id.
      this.plainEnd = word + 1;
      return 0;
    }
    const tokenEnd = at === limit ? end : at;
    this.mix(hashOf(bytes, start, at));
    this.push(Kind.id, from, start, tokenEnd, hashOf(bytes, from, start));
    return tokenEnd;
  }

  /** A path of tokens as if their key had been scanned; placeholders are taken to be empty. */
  load(path: { delimiters: string; kind: Kind; text: string }[]): void {
    this.count = 0;
    let at = 0;
    for (const { delimiters, kind, text } of path) {
      const start = at + delimiters.length;
      const end = start + text.length;
      const delimiterHash = hashText(delimiters, EMPTY_HASH);
      if (kind === Kind.constant) this.pushWord(at, start, end, hashText(text, delimiterHash), delimiterHash);
      else this.push(kind, at, start, end, delimiterHash);
      this.origins[this.count - 1] = this.count - 1;
      at = end;
    }
  }

  /** Takes token i for one of many words. */
  takeWord(i: number): void {
    this.kinds[i] = Kind.word;
    this.labels[i] = labelOf(Kind.word, this.delimiterHashes[i]!);
  }

  /** Takes token i and those that joints join to it for one id; false if that is what it is. */
  takeRun(i: number, bytes: Uint8Array): boolean {
    let next = i + 1;
    while (next < this.count && isJoint(bytes, this.froms[next]!, this.starts[next]!)) next++;
    if (next === i + 1 && this.kinds[i] === Kind.id) return false;
    this.kinds[i] = Kind.id;
    this.labels[i] = labelOf(Kind.id, this.delimiterHashes[i]!);
    this.ends[i] = this.ends[next - 1]!;
    for (const tokens of this.tokens) tokens.copyWithin(i + 1, next, this.count);
    this.count -= next - i - 1;
    return true;
  }

  /** Takes `from` to `end` for one id, token i and the last. */
  takeRest(i: number, from: number, end: number): void {
    this.count = i;
    this.push(Kind.id, from, from, end, EMPTY_HASH);
  }

  placeholders(): number {
    let n = 0;
    for (let i = 0; i < this.count; i++) if (this.kinds[i] !== Kind.constant) n++;
    return n;
  }

  /** What the whole text was, as one kind. */
  kind(): Kind {
    if (this.count !== 1 || this.froms[0] !== this.starts[0]) return Kind.id;
    return this.kinds[0] === Kind.constant ? Kind.word : (this.kinds[0] as Kind);
  }

  private pushWord(from: number, start: number, end: number, label: number, delimiterHash: number): void {
    this.push(Kind.constant, from, start, end, delimiterHash);
    this.labels[this.count - 1] = label;
  }

  private push(kind: Kind, from: number, start: number, end: number, delimiterHash: number): void {
    const i = this.count++;
    this.kinds[i] = kind;
    this.labels[i] = labelOf(kind, delimiterHash);
    this.delimiterHashes[i] = delimiterHash;
    this.froms[i] = from;
    this.starts[i] = start;
    this.ends[i] = end;
  }

  private mix(hash: number): void {
    this.hash = Math.imul(this.hash ^ hash ^ (hash >>> 15), HASH_PRIME);
  }
}

/** Label of a placeholder behind delimiters of that hash. */
export function labelOf(kind: Kind, delimiterHash: number): number {
  return Math.imul(delimiterHash ^ (kind + 0x5bd1e900), 0x9e3779b1 | 0);
}

function hashOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = EMPTY_HASH;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, HASH_PRIME);
  return hash;
}

function hashText(latin1: string, hash: number): number {
  for (let i = 0; i < latin1.length; i++) hash = Math.imul(hash ^ latin1.charCodeAt(i), HASH_PRIME);
  return hash;
}

/** Glue, or the dots and slashes that join the parts of paths and of base64. */
function isJoint(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++)
    if ((CLASS[bytes[i]!]! & GLUE) === 0 && bytes[i] !== DOT && bytes[i] !== SLASH) return false;
  return true;
}

/** Delimiters that stand inside of ids as well: what is behind them may belong to what is before them. */
export function isGlue(delimiters: string): boolean {
  for (let i = 0; i < delimiters.length; i++) if (CLASS[delimiters.charCodeAt(i)] !== GLUE) return false;
  return true;
}

const isDigit = (byte: number | undefined) => byte !== undefined && CLASS[byte] === DIGIT;
/** Letters, digits, dots and glue. */
const isMailbox = (byte: number) => (CLASS[byte]! & (FOREIGN | DELIMITER)) === 0 || byte === DOT;
const digitsAt = (bytes: Uint8Array, at: number) => (bytes[at]! - ZERO) * 10 + bytes[at + 1]! - ZERO;

/** `YYYYMMDD`, or with a separator between; years 1900 to 2099. */
function isDate(bytes: Uint8Array, start: number, separator: number): boolean {
  const century = digitsAt(bytes, start);
  if (century !== 19 && century !== 20) return false;
  const gap = separator === 0 ? 0 : 1;
  const month = start + 4 + gap;
  const day = month + 2 + gap;
  if (gap > 0 && (bytes[month - 1] !== separator || bytes[day - 1] !== separator)) return false;
  for (const at of [month, month + 1, day, day + 1]) if (!isDigit(bytes[at])) return false;
  const [m, d] = [digitsAt(bytes, month), digitsAt(bytes, day)];
  return m >= 1 && m <= 12 && d >= 1 && d <= 31;
}

function isUuid(bytes: Uint8Array, start: number): boolean {
  for (let i = 0; i < 36; i++) {
    const byte = bytes[start + i]!;
    if (i === 8 || i === 13 || i === 18 || i === 23) {
      if (byte !== DASH) return false;
    } else if ((CLASS[byte]! & (ANY_DELIMITER | FOREIGN | BEYOND_HEX)) !== 0) return false;
  }
  return true;
}

/** End of the IPv4 address at `start`, or 0. */
function ipEnd(bytes: Uint8Array, start: number, limit: number): number {
  let at = start;
  for (let octet = 0; octet < 4; octet++) {
    if (octet > 0 && bytes[at++] !== DOT) return 0;
    let value = 0;
    const first = at;
    for (; at < limit && isDigit(bytes[at]) && at - first < 3; at++) value = value * 10 + bytes[at]! - ZERO;
    if (at === first || value > 255) return 0;
  }
  return at;
}

/** Letters of both cases and glue, mostly with digits, that change too often for words. */
function isRandom(bytes: Uint8Array, start: number, end: number, shortest: number): boolean {
  if (end - start < shortest) return false;
  let seen = 0;
  let last = 0;
  let changes = 0;
  for (let at = start; at < end; at++) {
    const c = CLASS[bytes[at]!]!;
    if ((c & GLUE) !== 0) continue;
    if (((c ^ last) & CASE) !== 0) changes++;
    last = c;
    seen |= c;
  }
  return (seen & LETTER) === LETTER && changes >= ((seen & DIGIT) !== 0 ? 0.35 : 0.45) * (end - start);
}

/**
 * Where a word ends that goes on as `-check` in `stalled-check`: dashes join words, while they part them from numbers and
 * from what has capitals inside.
 */
function kebab(bytes: Uint8Array, start: number, limit: number, stop: number): number {
  let end = start;
  while (end + 1 < stop && bytes[end] === DASH) {
    // A capital may begin the word.
    const word = wordEnd(bytes, end + 1 + ((CLASS[bytes[end + 1]!]! & UPPER) !== 0 ? 1 : 0), limit);
    if (word === end + 1 || word > stop || (word < limit && (CLASS[bytes[word]!]! & ANY_DELIMITER) === 0)) break;
    end = word;
  }
  return end;
}

/** End of the one or two `=` that end a base64 text, or `at`. */
function paddingEnd(bytes: Uint8Array, at: number, limit: number): number {
  const end = bytes[at + 1] === EQUALS && at + 1 < limit ? at + 2 : at + 1;
  return end < limit && (CLASS[bytes[end]!]! & DELIMITER) === 0 ? at : end;
}

/** End of the letters of one case at `start`. */
function wordEnd(bytes: Uint8Array, start: number, end: number): number {
  const first = CLASS[bytes[start]!]! & CASE;
  let at = start;
  while (at < end && (CLASS[bytes[at]!]! & CASE) === first && (first & LETTER) !== 0) at++;
  return at;
}

/** Well-formed UTF-8 without control characters. */
function isText(bytes: Uint8Array, start: number, end: number): boolean {
  let following = 0;
  for (let i = start; i < end; i++) {
    const byte = bytes[i]!;
    if (following > 0) {
      if ((byte & 0xc0) !== 0x80) return false;
      following--;
    } else if (byte >= 0xc2 && byte <= 0xf4) following = byte >= 0xf0 ? 3 : byte >= 0xe0 ? 2 : 1;
    else if (byte < 32 || byte > 126) return false;
  }
  return following === 0;
}

/** A hash tag `{int}` would read like a placeholder. */
function isPlaceholderName(bytes: Uint8Array, start: number, end: number): boolean {
  const word = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1');
  return (PLACEHOLDERS as readonly string[]).includes(word);
}
