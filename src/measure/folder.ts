/** A rehearsal on disk: one folder, written as the run proceeds, read back whole or as far as it got. */
import { readFileSync } from 'node:fs';
import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CutoverError, messageOf } from '../errors.ts';
import { type LabelledHistograms, readLatencyLog } from './latency-log.ts';
import type { Arm, Rehearsal } from './rehearsal.ts';

const DOCUMENT = 'rehearsal.json';

export interface RehearsalFolder {
  path: string;
  /** Replaces rehearsal.json in one step: a reader, or the next run, never sees half of it. */
  save(rehearsal: Rehearsal): Promise<void>;
  /** Writes a text file below the folder. */
  writeText(name: string, text: string): Promise<void>;
}

/** Creates a new folder; `rehearsals/2026-11-23T10-30-00` unless a path is given. Throws E_FOLDER_EXISTS. */
export async function createFolder(path?: string): Promise<RehearsalFolder> {
  const folder = path ?? join('rehearsals', new Date().toISOString().slice(0, 19).replaceAll(':', '-'));
  try {
    await mkdir(dirname(folder), { recursive: true });
    await mkdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
      throw new CutoverError(
        'usage',
        'E_FOLDER',
        `Cannot create ${folder}: ${messageOf(error)}.`,
        'Name another folder with --output.',
      );
    }
    throw new CutoverError(
      'usage',
      'E_FOLDER_EXISTS',
      `${folder} exists already; a rehearsal is never overwritten.`,
      'Name another folder with --output, or remove this one.',
    );
  }
  return {
    path: folder,
    async save(rehearsal) {
      const temporary = join(folder, `.${DOCUMENT}.${process.pid}`);
      await writeFile(temporary, `${JSON.stringify(rehearsal, undefined, 2)}\n`);
      await rename(temporary, join(folder, DOCUMENT));
    },
    async writeText(name, text) {
      await mkdir(dirname(join(folder, name)), { recursive: true });
      await writeFile(join(folder, name), text);
    },
  };
}

/** The rehearsal in a folder. Throws CutoverError (usage) for a missing, foreign or damaged one. */
export async function readRehearsal(folder: string): Promise<Rehearsal> {
  const give = (message: string, advice: string) => new CutoverError('usage', 'E_REHEARSAL', message, advice);
  const there = await stat(folder).catch(() => undefined);
  if (!there) throw give(`There is no folder ${folder}.`, 'Name the folder that `cutover run` printed at its end.');
  if (!there.isDirectory())
    throw give(`${folder} is a file; a rehearsal is a folder.`, 'Name the folder that holds rehearsal.json.');
  let document: Rehearsal;
  try {
    document = JSON.parse(await readFile(join(folder, DOCUMENT), 'utf8'));
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw give(
      missing
        ? `${folder} holds no rehearsal (no ${DOCUMENT} in it).`
        : `${join(folder, DOCUMENT)} cannot be read: ${messageOf(error)}.`,
      missing
        ? 'A run that was killed before its first slice leaves none. Name another folder.'
        : 'It is damaged: copy the folder again, or repeat the run.',
    );
  }
  if (document?.schema !== 'cutover/rehearsal@1') {
    throw give(
      `${folder} was written by another version of cutover (schema ${JSON.stringify(document?.schema)}).`,
      'Judge it with that version, or repeat the run.',
    );
  }
  return document;
}

/** A text file of a rehearsal folder. */
export async function readText(folder: string, name: string): Promise<string> {
  try {
    return await readFile(join(folder, name), 'utf8');
  } catch (error) {
    throw new CutoverError(
      'usage',
      'E_REHEARSAL',
      `${join(folder, name)} cannot be read: ${messageOf(error)}.`,
      'The folder is not complete: copy it again, or repeat the run.',
    );
  }
}

/** Reads the latency log of a slice when asked for it. */
export function latencyReader(
  folder: string,
  rehearsal: Rehearsal,
): (round: number, arm: Arm, slice: number) => LabelledHistograms[] {
  return (round, arm, slice) => {
    const path = join(folder, rehearsal.rounds[round]!.arms[arm].slices[slice]!.log);
    try {
      return readLatencyLog(readFileSync(path, 'utf8'));
    } catch (error) {
      throw new CutoverError(
        'usage',
        'E_REHEARSAL',
        `${path} cannot be read: ${messageOf(error)}.`,
        'The folder is not complete: copy it again, or repeat the run.',
      );
    }
  };
}
