/** INFO commandstats → calls by command, subcommands under their command. */

export function commandCalls(commandstats: Record<string, string>): Map<string, number> {
  const calls = new Map<string, number>();
  for (const [name, fields] of Object.entries(commandstats)) {
    const command = name.replace(/^cmdstat_/, '').split('|')[0]!;
    calls.set(command, (calls.get(command) ?? 0) + Number(/\bcalls=(\d+)/.exec(fields)?.[1] ?? 0));
  }
  return calls;
}

/** What `after` counts more than `before`. */
export function callsSince(before: Map<string, number>, after: Map<string, number>): Record<string, number> {
  return Object.fromEntries(
    [...after].map(([name, n]) => [name, n - (before.get(name) ?? 0)]).filter(([, n]) => n !== 0),
  );
}
