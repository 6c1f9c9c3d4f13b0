/** INFO commandstats and errorstats → calls and failures by command, errors by first word, and what was counted between two readings. */

export interface ServerCounts {
  /** By command, scripts' own included; subcommands under their command. */
  calls: Record<string, number>;
  /** Of these, the ones that ended in an error, if any did; left out by servers that do not count them (before Redis 6.2). */
  failed?: Record<string, number> | undefined;
  /**
   * Error replies by first word, each once: what a script catches as well, but also what was refused before it ran and so is
   * nobody's failed call. Left out where nobody asked, and where the server has given up counting.
   */
  errors?: Record<string, number> | undefined;
}

/** Scripts make up words of their own, and may put anything into them. */
const WORD = /^[A-Z][A-Z_]{0,31}$/;
const OTHER_WORD = '(other)';

/** `cmdstat_config|get` → `config`. */
export const commandOf = (stat: string): string => stat.replace(/^cmdstat_/, '').split('|')[0]!;

/** `calls=3,usec=12` → its numbers by name. */
export function statFields(text: string): Record<string, number> {
  return Object.fromEntries(
    text.split(',').map((field): [string, number] => {
      const [name, value] = field.split('=');
      return [name!, Number(value)];
    }),
  );
}

export function serverCounts(commandstats: Record<string, string>, errorstats?: Record<string, string>): ServerCounts {
  const calls = new Map<string, number>();
  const failed = new Map<string, number>();
  const errors = new Map<string, number>();
  for (const [stat, text] of Object.entries(commandstats)) {
    const fields = statFields(text);
    add(calls, commandOf(stat), fields.calls);
    add(failed, commandOf(stat), fields.failed_calls);
  }
  for (const [stat, text] of Object.entries(errorstats ?? {})) {
    const word = stat.replace(/^errorstat_/, '');
    add(errors, WORD.test(word) ? word : OTHER_WORD, statFields(text).count);
  }
  // Of more than 128 words servers forget all, or count new ones as one.
  const isWhole = ![...errors.keys()].some((word) => word.startsWith('ERRORSTATS_'));
  return {
    calls: Object.fromEntries(calls),
    ...(failed.size > 0 ? { failed: Object.fromEntries(failed) } : {}),
    ...(errorstats && failed.size > 0 && isWhole ? { errors: Object.fromEntries(errors) } : {}),
  };
}

function add(to: Map<string, number>, name: string, n: number | undefined): void {
  if (n !== undefined && !Number.isNaN(n)) to.set(name, (to.get(name) ?? 0) + n);
}

/** What `after` counts more than `before`; undefined where somebody has reset the counters meanwhile. */
export function countsSince(before: ServerCounts, after: ServerCounts): ServerCounts | undefined {
  const since = (part: 'calls' | 'failed' | 'errors') => {
    if (!after[part]) return undefined;
    const more = new Map(Object.entries(after[part]));
    for (const [name, n] of Object.entries(before[part] ?? {})) add(more, name, -n);
    return Object.fromEntries([...more].filter(([, n]) => n !== 0));
  };
  const [calls, failed, errors] = [since('calls')!, since('failed'), since('errors')];
  const all = [calls, failed, errors].flatMap((counts) => Object.values(counts ?? {}));
  if (all.some((n) => n < 0)) return undefined;
  return { calls, ...(failed ? { failed } : {}), ...(errors ? { errors } : {}) };
}

/** What several servers, or one at several times, counted together; what one of them does not tell is left out. */
export function addServerCounts(all: readonly ServerCounts[]): ServerCounts {
  const sum = (part: 'calls' | 'failed' | 'errors') => {
    const total = new Map<string, number>();
    for (const counts of all) {
      if (!counts[part]) return undefined;
      for (const [name, n] of Object.entries(counts[part])) add(total, name, n);
    }
    return Object.fromEntries(total);
  };
  const [calls, failed, errors] = [sum('calls')!, sum('failed'), sum('errors')];
  return { calls, ...(failed ? { failed } : {}), ...(errors ? { errors } : {}) };
}
