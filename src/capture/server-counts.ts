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

export function serverCounts(commandstats: Record<string, string>, errorstats?: Record<string, string>): ServerCounts {
  const calls = new Map<string, number>();
  const failed = new Map<string, number>();
  const errors = new Map<string, number>();
  const add = (to: Map<string, number>, name: string, n: string | undefined) => {
    if (n !== undefined) to.set(name, (to.get(name) ?? 0) + Number(n));
  };
  for (const [name, fields] of Object.entries(commandstats)) {
    const command = name.replace(/^cmdstat_/, '').split('|')[0]!;
    add(calls, command, /\bcalls=(\d+)/.exec(fields)?.[1]);
    add(failed, command, /\bfailed_calls=(\d+)/.exec(fields)?.[1]);
  }
  for (const [name, fields] of Object.entries(errorstats ?? {})) {
    const word = name.replace(/^errorstat_/, '');
    add(errors, WORD.test(word) ? word : OTHER_WORD, /\bcount=(\d+)/.exec(fields)?.[1]);
  }
  // Of more than 128 words servers forget all, or count new ones as one.
  const isWhole = ![...errors.keys()].some((word) => word.startsWith('ERRORSTATS_'));
  return {
    calls: Object.fromEntries(calls),
    ...(failed.size > 0 ? { failed: Object.fromEntries(failed) } : {}),
    ...(errorstats && failed.size > 0 && isWhole ? { errors: Object.fromEntries(errors) } : {}),
  };
}

/** What `after` counts more than `before`; undefined where somebody has reset the counters meanwhile. */
export function countsSince(before: ServerCounts, after: ServerCounts): ServerCounts | undefined {
  const since = (part: 'calls' | 'failed' | 'errors') => {
    const now = after[part];
    return (
      now &&
      Object.fromEntries(
        Object.keys({ ...before[part], ...now })
          .map((name): [string, number] => [name, (now[name] ?? 0) - (before[part]?.[name] ?? 0)])
          .filter(([, n]) => n !== 0),
      )
    );
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
      for (const [name, n] of Object.entries(counts[part])) total.set(name, (total.get(name) ?? 0) + n);
    }
    return Object.fromEntries(total);
  };
  const [calls, failed, errors] = [sum('calls')!, sum('failed'), sum('errors')];
  return { calls, ...(failed ? { failed } : {}), ...(errors ? { errors } : {}) };
}
