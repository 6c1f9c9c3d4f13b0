/** Findings → workflow commands that GitHub shows beside the lines of a pull request. */

import { printable } from '../../printable.ts';
import type { LintResult } from '../engine.ts';
import type { Severity } from '../rule.ts';
import { decode } from '../sources/unit.ts';

const COMMANDS: Record<Severity, string> = { error: 'error', warning: 'warning', info: 'notice' };

/** The runner undoes these; anything else would end the command or begin another. */
const escapeData = (text: string) => printable(text).replaceAll('%', '%25');
const escapeProperty = (text: string) => escapeData(text).replaceAll(':', '%3A').replaceAll(',', '%2C');

export const reportGithub = ({ findings, parseErrors }: LintResult): string =>
  [
    ...findings.map(({ severity, code, rule, file, line, column, message, fix }) => {
      const title = escapeProperty(`${code} ${rule}`);
      const place = `file=${escapeProperty(file)},line=${line},col=${column}`;
      return `::${COMMANDS[severity]} ${place},title=${title}::${escapeData(`${decode(message)}. ${fix}`)}\n`;
    }),
    ...parseErrors.map(
      ({ file, line, column, message }) =>
        `::notice file=${escapeProperty(file)},line=${line},col=${column},title=not read as Lua::${escapeData(decode(message))}\n`,
    ),
  ].join('');
