/** The budget's allow-list → which entry excuses an error on the day of a run, and which have run out by then. */
import type { AllowedError } from './budget.ts';
import { globMatcher } from './glob.ts';

/** The first entry still in force on `day` (ISO date or time) that excuses this error of this command. */
export function excuses(
  entries: AllowedError[],
  { command, prefix }: { command: string; prefix: string },
  day: string,
): AllowedError | undefined {
  return entries.find(
    (entry) => !hasExpired(entry, day) && globMatcher(entry.match.toLowerCase())(`${command} ${prefix}`.toLowerCase()),
  );
}

/** ISO dates sort as text; the day named is the last one. */
export const hasExpired = ({ expires }: AllowedError, day: string) => expires < day.slice(0, 10);
