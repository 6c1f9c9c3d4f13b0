/** How times are written: whole numbers of a unit, seconds with a fraction, or the milliseconds that a stream id begins with. */

export const TIME_UNITS = ['s', 'ms', 'us', 'ns', 's-fraction', 'stream-id'] as const;
export type TimeUnit = (typeof TIME_UNITS)[number];

/** So many of a unit are a second. */
export const PER_SECOND: Record<TimeUnit, number> = {
  ...{ s: 1, ms: 1e3, us: 1e6, ns: 1e9, 's-fraction': 1, 'stream-id': 1e3 },
};
