/** What `cutover lint` does, in one call for commands: paths and a profile → a result. */
import { type LintResult, lint } from './engine.ts';
import type { Profile } from './profile.ts';
import type { Rule } from './rule.ts';
import { readSources } from './sources/read.ts';

/** Throws CutoverError (usage) for what cannot be read. */
export async function lintPaths(
  paths: string[],
  options: { profile: Profile; rules: readonly Rule[]; replica?: boolean },
): Promise<LintResult> {
  return lint(await readSources(paths, options), options);
}
