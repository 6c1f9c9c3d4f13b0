/** INFO latencystats → the memory that a server spends on them, which is much beside a small dataset. */

/** HDR counts (3072 of 8 bytes, for 1 ns to 1 s in two digits) and their header. */
const COMMAND_BYTES = 24_688;

/** One histogram for each command that somebody has sent. */
export const latencyBytes = (latencystats: Record<string, string>): number =>
  COMMAND_BYTES * Object.keys(latencystats).length;
