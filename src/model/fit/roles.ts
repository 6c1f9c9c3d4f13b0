/** Learns what stands at one argument position: a few words, whole numbers, times, stream ids, or bytes of certain sizes. */

import { hash64, hashLow } from '../../capture/key-hash.ts';
import { ValueHistogram } from '../histogram.ts';
import type { Role } from '../model.ts';
import { PER_SECOND, TIME_UNITS, type TimeUnit } from '../time-units.ts';
import { popcount } from './bits.ts';
import { MAX_LITERALS } from './literals.ts';

/** Texts that are kept as they are are short plain ones: options, field names, small numbers. Longer ones could be secrets. */
export const LITERAL = /^[\w.:+\-*()[\]$>~=!#@/ ]{0,24}$/;
/** A number this close to the op's own time, in one of the units, is taken for a time. */
const TIME_WINDOW_SECONDS = 400 * 86_400;
const WHOLE = ['s', 'ms', 'us', 'ns'] as const;
const OPEN = 0x28;
const NUMBER = /^-?\d{1,15}(\.\d{1,6})?$/;
/** Longest argument that is looked at as text. */
const MAX_TEXT = 24;
/** Arguments of one length that differ only behind this many bytes count as equal. */
const MAX_HASHED = 64;

export class RoleLearner {
  /** Of somebody's data only numbers are kept as they are. */
  private readonly isData: boolean;
  private seen = 0;
  private literals: Map<string, number> | undefined = new Map();
  private integers = new ValueHistogram();
  private numbers = new ValueHistogram();
  private readonly times: Partial<Record<TimeUnit, ValueHistogram>> = {};
  /** Numbers and times behind a `(`. */
  private open = 0;
  private readonly sizes = new ValueHistogram();
  /** Linear counting: the share of bits that are still zero estimates how many different values there were. */
  private readonly bits = new Uint32Array(512);

  constructor(isData: boolean) {
    this.isData = isData;
  }

  add(argument: Uint8Array, atUs: number): void {
    this.seen++;
    this.sizes.add(argument.length);
    hash64(argument, 0, Math.min(argument.length, MAX_HASHED), argument.length);
    const bit = hashLow & 16_383;
    this.bits[bit >>> 5]! |= 1 << (bit & 31);
    if (argument.length > MAX_TEXT) {
      this.literals = undefined;
      return;
    }
    const text = latin1(argument);
    this.addNumber(text, atUs);
    if (!this.literals) return;
    const known = this.literals.get(text);
    if (known === undefined && (this.literals.size >= MAX_LITERALS || !(this.isData ? NUMBER : LITERAL).test(text)))
      this.literals = undefined;
    else this.literals.set(text, (known ?? 0) + 1);
  }

  addAll(other: RoleLearner): void {
    this.seen += other.seen;
    this.integers.addAll(other.integers);
    this.numbers.addAll(other.numbers);
    this.open += other.open;
    for (const unit of TIME_UNITS) if (other.times[unit]) this.timesIn(unit).addAll(other.times[unit]);
    this.sizes.addAll(other.sizes);
    for (let i = 0; i < this.bits.length; i++) this.bits[i]! |= other.bits[i]!;
    if (!other.literals) this.literals = undefined;
    for (const [text, n] of (this.literals && other.literals) ?? [])
      this.literals!.set(text, (this.literals!.get(text) ?? 0) + n);
    if (this.literals && this.literals.size > MAX_LITERALS) this.literals = undefined;
  }

  /** The role, by what explains all that was seen; a position that is really free text is `bytes`. */
  role(): Role {
    // What most calls have there; the rest (`$` among stream ids, `+inf` among scores) must not turn it into noise.
    const most = this.seen / 2;
    const open = this.open > most ? ({ open: true } as const) : {};
    for (const unit of TIME_UNITS) {
      const times = this.times[unit];
      if (times && times.count > most) return { times: unit, offsets: times.entries(), ...open };
    }
    // Few different texts that keep coming back, or options seen once or twice.
    if (this.literals && (this.literals.size <= 3 || this.seen >= 4 * this.literals.size)) {
      return { literals: [...this.literals].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)) };
    }
    if (this.integers.count > most) return { integers: this.integers.entries(), ...open };
    if (this.numbers.count + this.integers.count > most) {
      const all = new ValueHistogram();
      all.addAll(this.integers);
      all.addAll(this.numbers);
      return { numbers: all.entries(), ...open };
    }
    return { bytes: this.sizes.entries(), distinct: this.distinct() };
  }

  private addNumber(argument: string, atUs: number): void {
    const isOpen = argument.charCodeAt(0) === OPEN;
    const text = isOpen ? argument.slice(1) : argument;
    if (text.length === 0 || !/^-?\d/.test(text)) return;
    if (isOpen) this.open++;
    const seconds = atUs / 1e6;
    const ms = text.length > 14 ? /^(\d{13})-\d+$/.exec(text)?.[1] : undefined;
    if (ms && Math.abs(Number(ms) / 1000 - seconds) < TIME_WINDOW_SECONDS) {
      this.timesIn('stream-id').add(Number(ms) - Math.round(seconds * 1000));
      return;
    }
    const value = Number(text);
    if (!Number.isFinite(value)) return;
    const isWhole = Number.isInteger(value) && String(value) === text;
    if (!isWhole && !/^-?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(text)) return;
    const unit = isWhole
      ? WHOLE.find((one) => Math.abs(value / PER_SECOND[one] - seconds) < TIME_WINDOW_SECONDS)
      : Math.abs(value - seconds) < TIME_WINDOW_SECONDS
        ? 's-fraction'
        : undefined;
    if (unit === 's-fraction') this.timesIn(unit).add(Math.round((value - seconds) * 1000) / 1000);
    else if (unit !== undefined) this.timesIn(unit).add(value - Math.round(seconds * PER_SECOND[unit]));
    else if (isWhole && Number.isSafeInteger(value)) this.integers.add(value);
    else this.numbers.add(value);
  }

  private timesIn(unit: TimeUnit): ValueHistogram {
    this.times[unit] ??= new ValueHistogram();
    return this.times[unit];
  }

  /** Linear counting estimate −m ln(zero bits / m), capped by what was seen (Whang et al. 1990). */
  private distinct(): number {
    let zero = 0;
    for (const word of this.bits) zero += 32 - popcount(word);
    const m = this.bits.length * 32;
    return Math.max(1, Math.round(Math.min(this.seen, zero === 0 ? this.seen : -m * Math.log(zero / m))));
  }
}

/** Bytes as latin1 text: one character a byte, reversible. */
export function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}
