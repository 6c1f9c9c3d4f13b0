/** Every rule, in the order of the catalogue. */
import type { Rule } from '../rule.ts';
import { commandAbsent } from './command-absent.ts';
import { errorText } from './error-text.ts';
import { noscriptCommand } from './noscript-command.ts';
import { optionAbsent } from './option-absent.ts';
import { tableOrder } from './table-order.ts';
import { timeBusyWait } from './time-busy-wait.ts';
import { unboundedRange } from './unbounded-range.ts';
import { versionGate } from './version-gate.ts';

export const RULES: readonly Rule[] = [
  commandAbsent,
  optionAbsent,
  versionGate,
  errorText,
  tableOrder,
  timeBusyWait,
  unboundedRange,
  noscriptCommand,
];
