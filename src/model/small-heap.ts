/** A thread's limits, in MB: little garbage is left lying about. */

/**
 * The less the young generation holds, the sooner what is short-lived is collected; and the lower the limit of the old
 * one (V8's default is gigabytes), the less it grows before it is. What is learnt stands in typed arrays, outside of both.
 */
export const SMALL_HEAP = { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 256 };
