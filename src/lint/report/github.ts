/** Findings → workflow commands that GitHub shows beside the lines of a pull request. */

import { annotation } from '../../printable.ts';
import type { LintResult } from '../engine.ts';
import { decode } from '../sources/unit.ts';

const KINDS = { error: 'error', warning: 'warning', info: 'notice' } as const;

export const reportGithub = ({ findings, parseErrors }: LintResult): string =>
  [
    ...findings.map(({ severity, code, rule, file, line, column, message, fix }) =>
      annotation(KINDS[severity], { file, line, col: column, title: `${code} ${rule}` }, `${decode(message)}. ${fix}`),
    ),
    ...parseErrors.map(({ file, line, column, message }) =>
      annotation('notice', { file, line, col: column, title: 'not read as Lua' }, decode(message)),
    ),
  ].join('');
