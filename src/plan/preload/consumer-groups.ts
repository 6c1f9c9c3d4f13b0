/** Calls that need a consumer group, captured ones or shapes → the groups that are there before a workload begins. */

import { latin1 } from '../../model/fit/roles.ts';
import type { CallView } from '../../model/fit/shapes.ts';
import { describe } from '../../model/fit/shapes.ts';
import type { Model, Shape } from '../../model/model.ts';
import { intern, tally } from '../../model/tally.ts';
import { KeyMarks } from '../synthesis/key-marks.ts';

/** Argument index (0 is the command) of the group without which a command fails or does nothing. */
const GROUP_AT: Record<string, number> = { xreadgroup: 2, xack: 2, xackdel: 2, xpending: 2, xclaim: 2, xautoclaim: 2 };
/** The same for XGROUP's subcommands. */
const SUBCOMMAND_GROUP_AT = 3;
const NEEDS = new Set(['createconsumer', 'delconsumer', 'setid', 'destroy']);

/** Commands that name stream entries by the ids that the captured server gave them. */
export const NAMES_ENTRIES = new Set(['xack', 'xackdel', 'xdel', 'xdelex', 'xclaim']);

/** Makes a group whose consumers have read all that is there, as they mostly have; and the stream, if there is none. */
export const groupCreation = (key: string, group: string) => ['xgroup', 'create', key, group, '$', 'mkstream'];

/** Whether a call makes its group, and where its name stands; undefined for a call without one. */
function groupOf(command: string, subcommand: string): { at: number; makes: boolean } | undefined {
  if (command !== 'xgroup') {
    const at = GROUP_AT[command];
    return at === undefined ? undefined : { at, makes: false };
  }
  if (subcommand === 'create') return { at: SUBCOMMAND_GROUP_AT, makes: true };
  return NEEDS.has(subcommand) ? { at: SUBCOMMAND_GROUP_AT, makes: false } : undefined;
}

/** A stream of a capture and its groups that nothing in the capture had made before they were used. Names are latin1. */
export interface StreamGroups {
  db: number;
  key: string;
  groups: Set<string>;
}

/** Follows a capture's calls in their order. */
export class CapturedGroups {
  /** By database and key. */
  readonly needed = new Map<string, StreamGroups>();
  private readonly made = new Set<string>();

  note(db: number, call: CallView): void {
    if (GROUP_AT[call.command] === undefined && call.command !== 'xgroup') return;
    const found = groupOf(call.command, call.argCount > 1 ? latin1(call.arg(1)).toLowerCase() : '');
    if (!found || found.at >= call.argCount) return;
    const group = latin1(call.arg(found.at));
    for (const { index } of describe(call).keys) {
      const key = latin1(call.arg(index));
      const id = `${db} ${key}`;
      if (found.makes) this.made.add(`${id}\n${group}`);
      else if (!this.made.has(`${id}\n${group}`))
        intern(this.needed, id, () => ({ db, key, groups: new Set<string>() })).groups.add(group);
    }
  }
}

/** By family: groups that every stream of it has at first. None where the workload makes them for its keys itself. */
export function groupsOfFamilies(model: Model): Map<number, string[]> {
  return new Map(usedGroups(model).flatMap(({ family, names, maker }) => (maker < 0 ? [[family, names]] : [])));
}

export interface UsedGroups {
  family: number;
  /** Of groups that calls name. */
  names: string[];
  /** Shape of calls that make them, if the workload does that for most keys; else -1. */
  maker: number;
  /** Whether there are more of these calls than keys. */
  again: boolean;
}

function usedGroups({ families, shapes, units }: Model): UsedGroups[] {
  const named = new Map<number, Set<string>>();
  const makers = new Map<number, number>();
  shapes.forEach((shape, number) => {
    const found = groupOfShape(shape);
    if (!found) return;
    if (found.makes) makers.set(shape.family!, number);
    else
      for (const role of shape.roles)
        if ('key' in role && families[role.key]!.type === 'stream')
          for (const group of wordsAt(shape, found.at)) intern(named, role.key, () => new Set<string>()).add(group);
  });
  const made = new Map<number, number>();
  for (const { count, ops } of units)
    for (const [shape] of ops) if (groupOfShape(shapes[shape]!)?.makes) tally(made, shapes[shape]!.family!, count);
  return [...named].map(([family, groups]) => {
    const [calls, { keys }] = [made.get(family) ?? 0, families[family]!];
    const maker = calls > 0 && calls >= keys / 2 ? makers.get(family)! : -1;
    return { family, names: [...groups].sort(), maker, again: calls > keys };
  });
}

const groupOfShape = (shape: Shape) => groupOf(shape.command, wordsAt(shape, 1)[0]?.toLowerCase() ?? '');

/**
 * Groups that a workload makes itself. In production who needs a group comes after who makes it; here either may come
 * first. So the group is made for the first who needs it, and who was to make it, later, does not.
 */
export class MadeGroups {
  /** By shape: whether it makes a group or needs one; undefined for nearly all. */
  private readonly roles: (boolean | undefined)[];
  private readonly groups = new Map<number, UsedGroups & { marks: KeyMarks; owed: number }>();

  constructor(model: Model) {
    this.roles = model.shapes.map((shape) => groupOfShape(shape)?.makes);
    for (const used of usedGroups(model))
      if (used.maker >= 0)
        this.groups.set(used.family, { ...used, marks: new KeyMarks(model.families[used.family]!.keys), owed: 0 });
  }

  /** What must be made before a call of the shape comes to the key. */
  missing(shape: number, family: number, key: number): UsedGroups | undefined {
    const own = this.roles[shape] === undefined ? undefined : this.groups.get(family);
    if (!own || own.marks.has(key)) return undefined;
    own.marks.add(key);
    if (this.roles[shape]) return undefined;
    own.owed += own.names.length;
    return own;
  }

  /** Whether a call of the shape is left out, for it would make what is there. To be asked before `missing`. */
  isDone(shape: number, family: number, key: number): boolean {
    const own = this.roles[shape] ? this.groups.get(family) : undefined;
    if (!own?.marks.has(key)) return false;
    if (own.owed === 0) return !own.again;
    own.owed--;
    return true;
  }
}

/** Words that stand at an argument of a shape; none where there are too many to be known. */
function wordsAt({ roles }: Shape, index: number): string[] {
  const role = roles[index - 1];
  return role && 'literals' in role ? role.literals.map(([text]) => text) : [];
}
