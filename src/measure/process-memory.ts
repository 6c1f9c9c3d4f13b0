/** A process on this machine → the memory that it and its children hold, pages they share counted once. */
import { readFile } from 'node:fs/promises';

/**
 * Sum of the proportional set sizes (Pss) in bytes: while a child writes a snapshot, RSS counts every page that it still
 * shares with its parent twice. Undefined where the system has no /proc or does not let us read it.
 */
export async function proportionalBytes(pid: number): Promise<number | undefined> {
  try {
    const children = (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).split(' ').filter(Boolean);
    const own = await pssOf(String(pid));
    // A child may end while it is looked at.
    const others = await Promise.all(children.map((child) => pssOf(child).catch(() => 0)));
    return others.reduce((sum, bytes) => sum + bytes, own);
  } catch {
    return undefined;
  }
}

async function pssOf(pid: string): Promise<number> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8');
  const kib = /^Pss:\s+(\d+) kB$/m.exec(text)?.[1];
  if (kib === undefined) throw new Error(`no Pss in smaps_rollup of ${pid}`);
  return Number(kib) * 1024;
}
