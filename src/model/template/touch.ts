/** Commands → the groups whose mix tells families apart: what type of value they need, and whether they write. */

const TYPES = ['generic', 'string', 'hash', 'list', 'set', 'sorted-set', 'stream', 'other'];
const ALIASES: Record<string, string> = { bitmap: 'string', hyperloglog: 'string', geo: 'sorted-set' };

/** Groups are numbered from 0 to below this. */
export const TOUCH_GROUPS = 2 * TYPES.length;

/** Group of a command; `commandGroup` as in COMMAND DOCS. */
export function touchGroup(commandGroup: string, write: boolean): number {
  const type = TYPES.indexOf(ALIASES[commandGroup] ?? commandGroup);
  return 2 * (type < 0 ? TYPES.length - 1 : type) + (write ? 1 : 0);
}

/** The type of value that most touches needed; `generic` if none needed any. */
export function touchedType(touches: ArrayLike<number>): string {
  let type = 0;
  let most = 0;
  for (let t = 1; t < TYPES.length; t++) {
    const n = touches[2 * t]! + touches[2 * t + 1]!;
    if (n > most) [type, most] = [t, n];
  }
  return TYPES[type]!;
}
