/** The flag that names a model.yaml, and the file behind it. */
import { readFile } from 'node:fs/promises';
import { Flags } from '@oclif/core';
import { CutoverError, messageOf } from '../errors.ts';
import type { Overrides } from '../model/overrides/overrides.ts';

export const overridesFlag = Flags.string({
  description: 'model.yaml that names, merges, leaves out or weighs families (docs/families.md)',
});

/** @throws CutoverError E_OVERRIDES (usage). */
export async function readOverrides(path: string | undefined): Promise<{ overrides?: Overrides }> {
  if (path === undefined) return {};
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw new CutoverError(
      'usage',
      'E_OVERRIDES',
      `Cannot read ${path}: ${messageOf(error)}.`,
      'docs/families.md shows how to write one.',
    );
  }
  const { parseOverrides } = await import('../model/overrides/overrides-file.ts');
  return { overrides: parseOverrides(text, path) };
}
