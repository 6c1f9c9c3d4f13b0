/** How many different texts a model keeps as they are. */

/** At most so many of one argument, or of channels: of many, each may be somebody's. */
export const MAX_LITERALS = 24;
