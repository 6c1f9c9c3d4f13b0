/** What `cutover lint` does, in one call for commands: paths and a profile → a result. */
import { type LintResult, lint } from './engine.ts';
import type { Profile } from './profile.ts';
import type { Rule } from './rule.ts';
import { readSources } from './sources/read.ts';
import { type Compiler, verifyScripts } from './verify.ts';

/** Throws CutoverError (usage) for what cannot be read. With a `compiler` its server says what it makes of the scripts. */
export async function lintPaths(
  paths: string[],
  options: { profile: Profile; rules: readonly Rule[]; replica?: boolean; compiler?: Compiler },
): Promise<LintResult> {
  const sources = await readSources(paths, options);
  const result = lint(sources, options);
  if (options.compiler) result.verification = await verifyScripts(sources.scripts, options.compiler);
  return result;
}
