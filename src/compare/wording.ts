/** Turns numbers and hostile names into what a reader sees: durations, bytes, percentages, quoted names. */
import { printable } from '../printable.ts';

/** 1,204 */
export const count = (value: number) => value.toLocaleString('en-US', { maximumFractionDigits: 0 });

/** Three significant digits, no exponent: 0.812, 8.12, 81.2, 812, 8120. */
export const digits = (value: number) => {
  const rounded = Number(value.toPrecision(3));
  const whole = rounded === 0 ? 1 : Math.floor(Math.log10(Math.abs(rounded))) + 1;
  return rounded.toFixed(Math.max(0, 3 - Math.max(1, whole)));
};

const scaled = (value: number, step: number, units: string[]) => {
  let unit = 0;
  // 999.6 would print as 1000: it belongs to the next unit.
  while (unit < units.length - 1 && Number(Math.abs(value).toPrecision(3)) >= step) {
    value /= step;
    unit++;
  }
  return `${digits(value)} ${units[unit]}`;
};

/** Microseconds → `812 µs`, `1.02 ms`, `3.40 s`. Whole microseconds, which is all that is measured. */
export const duration = (us: number) => (us < 999.5 ? `${Math.round(us)} µs` : scaled(us / 1000, 1000, ['ms', 's']));

/** Bytes → `812 B`, `1.02 MiB`. */
export const bytes = (value: number) =>
  Math.abs(value) < 1023.5 ? `${Math.round(value)} B` : scaled(value / 1024, 1024, ['KiB', 'MiB', 'GiB', 'TiB']);

/** Share → `25 %`, `3.1 %`, `0.12 %`. Digits that the eye needs and the interval supports, no more. */
export const percent = (share: number) => {
  const value = share * 100;
  const size = Math.abs(value);
  const rounded = Number(value.toFixed(size >= 9.95 ? 0 : size >= 0.995 ? 1 : 2));
  return `${String(Math.abs(rounded) === 0 ? 0 : rounded).replace('-', '−')} %`;
};

/** Share → `+25 %`, `−3.1 %`, `0 %`. */
export const signedPercent = (share: number) => {
  const text = percent(share);
  return share > 0 && text !== '0 %' ? `+${text}` : text;
};

/** 99.9 → `P99.9`. */
export const percentileName = (percentile: number) => `P${percentile}`;

/** `1 round`, `5 rounds`. */
export const plural = (n: number, noun: string) => `${count(n)} ${noun}${n === 1 ? '' : 's'}`;

/** At most `width` characters, the loss shown by an ellipsis. */
export const shorten = (text: string, width: number) => {
  const characters = [...text];
  return characters.length <= width ? text : `${characters.slice(0, width - 1).join('')}…`;
};

/** A clause that stands alone: capital, full stop. */
export const asSentence = (clause: string) =>
  `${clause.slice(0, 1).toUpperCase()}${clause.slice(1)}${clause.endsWith('.') ? '' : '.'}`;

/** A name from the capture or from a server inside a sentence of ours. */
export const quote = (name: string) => `"${shorten(printable(name), 60)}"`;
