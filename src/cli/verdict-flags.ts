/** The flag that says what "cannot tell" means to the caller, and the exit code that follows. */
import { Flags } from '@oclif/core';
import type { Judgement } from '../compare/judgement.ts';
import { EXIT_CODES } from '../errors.ts';

export const onInconclusiveFlag = Flags.option({
  options: ['pass', 'fail'] as const,
  description: 'exit 0 or 1 instead of 4 when the verdict is inconclusive',
})();

export function exitCodeOf({ verdict, exitCode }: Judgement, onInconclusive: 'pass' | 'fail' | undefined): number {
  return verdict === 'inconclusive' && onInconclusive ? EXIT_CODES[onInconclusive].code : exitCode;
}
