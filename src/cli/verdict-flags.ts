/** What commands that judge share: the budget file, what "cannot tell" means to the caller, and the exit code. */
import { readFile } from 'node:fs/promises';
import { Flags } from '@oclif/core';
import type { Judgement } from '../compare/judgement.ts';
import { CutoverError, EXIT_CODES, messageOf } from '../errors.ts';

export const onInconclusiveFlag = Flags.option({
  options: ['pass', 'fail'] as const,
  description: 'exit 0 or 1 instead of 4 when the verdict is inconclusive',
})();

export function exitCodeOf({ verdict, exitCode }: Judgement, onInconclusive: 'pass' | 'fail' | undefined): number {
  return verdict === 'inconclusive' && onInconclusive ? EXIT_CODES[onInconclusive].code : exitCode;
}

/** Text of a budget file. */
export async function readBudget(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new CutoverError(
      'usage',
      'E_BUDGET',
      `Cannot read the budget ${path}: ${messageOf(error)}.`,
      'Leave --budget out for the default; each rehearsal folder holds a copy to start from: budget.yaml.',
    );
  }
}
