/** What a person wants different from the capture. */

export interface Override {
  /** Glob over families' templates, and over keys for `merge`: `*` is any text, everything else itself. */
  match: string;
  /** Keys that match are one family, whatever they look like; done while a capture is read. */
  merge?: boolean | undefined;
  /** What the families are called in budgets and reports; families of one name are judged as one. */
  name?: string | undefined;
  /** Their keys and the commands on them are left out. */
  exclude?: boolean | undefined;
  /** Factors. */
  requests?: number | undefined;
  keys?: number | undefined;
  by: string;
  why: string;
}

export interface Overrides {
  families: Override[];
}

/** The globs that a miner must know while it reads keys. */
export function forcedGlobs({ families }: Overrides): string[] {
  return families.flatMap(({ match, merge }) => (merge ? [match] : []));
}

/** What is asked for families whose ops are replayed as they are, and cannot be done there. */
export const scaled = ({ families }: Overrides) =>
  families.filter(({ requests, keys }) => requests !== undefined || keys !== undefined).map(({ match }) => match);

/** Whether the workload becomes another one, not only what its families are called. */
export const changesWorkload = ({ exclude, requests, keys }: Pick<Override, 'exclude' | 'requests' | 'keys'>) =>
  exclude === true || requests !== undefined || keys !== undefined;
