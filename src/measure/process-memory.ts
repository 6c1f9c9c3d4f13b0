/** A process on this machine → the memory that it and its children hold, pages that they share counted once. */
import { readFile } from 'node:fs/promises';

/**
 * Resident set of the process plus what its children have to themselves, in bytes: of a server that writes a snapshot, its
 * own pages and those that were copied because it changed them. Not the proportional set size, which shrinks when another
 * server of the same binary runs beside it. Undefined where the system has no /proc or does not let us read it.
 */
export async function heldBytes(pid: number): Promise<number | undefined> {
  try {
    const children = (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).split(' ').filter(Boolean);
    const own = await rollup(String(pid), ['Rss']);
    // A child may end while it is looked at.
    const others = children.map((child) => rollup(child, ['Private_Clean', 'Private_Dirty']).catch(() => 0));
    return (await Promise.all(others)).reduce((sum, bytes) => sum + bytes, own);
  } catch {
    return undefined;
  }
}

async function rollup(pid: string, names: string[]): Promise<number> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8');
  return names.reduce((sum, name) => {
    const kib = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1];
    if (kib === undefined) throw new Error(`no ${name} in smaps_rollup of ${pid}`);
    return sum + Number(kib) * 1024;
  }, 0);
}
