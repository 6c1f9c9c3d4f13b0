/** Calls that need a consumer group, captured ones or shapes → the groups that are there before a workload begins. */

import type { Model, Shape } from '../model/model.ts';
import { latin1 } from '../model/roles.ts';
import type { CallView } from '../model/shapes.ts';
import { describe } from '../model/shapes.ts';
import { intern } from '../model/tally.ts';

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
export function groupsOfFamilies({ families, shapes, units }: Model): Map<number, string[]> {
  const named = new Map<number, Set<string>>();
  const making = new Set<number>();
  shapes.forEach((shape, number) => {
    const found = groupOf(shape.command, wordsAt(shape, 1)[0]?.toLowerCase() ?? '');
    if (!found) return;
    if (found.makes) making.add(number);
    else
      for (const role of shape.roles)
        if ('key' in role && families[role.key]!.type === 'stream')
          for (const group of wordsAt(shape, found.at)) intern(named, role.key, () => new Set<string>()).add(group);
  });
  const made = new Map<number, number>();
  for (const { count, ops } of units)
    for (const [shape] of ops) {
      const { family } = shapes[shape]!;
      if (making.has(shape) && family !== null) made.set(family, (made.get(family) ?? 0) + count);
    }
  return new Map(
    [...named].flatMap(([family, groups]): [number, string[]][] =>
      (made.get(family) ?? 0) < families[family]!.keys / 2 ? [[family, [...groups].sort()]] : [],
    ),
  );
}

/** Words that stand at an argument of a shape; none where there are too many to be known. */
function wordsAt({ roles }: Shape, index: number): string[] {
  const role = roles[index - 1];
  return role && 'literals' in role ? role.literals.map(([text]) => text) : [];
}
