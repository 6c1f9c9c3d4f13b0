/** Every rule, in the order of the catalogue. */
import type { Rule } from '../rule.ts';
import { argumentType } from './argument-type.ts';
import { arrayHole } from './array-hole.ts';
import { bigJson } from './big-json.ts';
import { blockingInScript } from './blocking-in-script.ts';
import { booleanAnswer } from './boolean-answer.ts';
import { clusterPublish } from './cluster-publish.ts';
import { commandAbsent } from './command-absent.ts';
import { concatInLoop } from './concat-in-loop.ts';
import { deepRecursion } from './deep-recursion.ts';
import { emptyJson } from './empty-json.ts';
import { errorText } from './error-text.ts';
import { flagsMissing } from './flags-missing.ts';
import { floatAnswer } from './float-answer.ts';
import { flushInScript } from './flush-in-script.ts';
import { globalWrite } from './global-write.ts';
import { infiniteLoop } from './infinite-loop.ts';
import { keysFromData } from './keys-from-data.ts';
import { keysScan } from './keys-scan.ts';
import { largeInteger } from './large-integer.ts';
import { largeScript } from './large-script.ts';
import { legacyTableFunction } from './legacy-table-function.ts';
import { lengthOfHoles } from './length-of-holes.ts';
import { limiterWithoutTtl } from './limiter-without-ttl.ts';
import { logLevel } from './log-level.ts';
import { nondeterministicWrite } from './nondeterministic-write.ts';
import { noscriptCommand } from './noscript-command.ts';
import { numkeysMismatch } from './numkeys-mismatch.ts';
import { optionAbsent } from './option-absent.ts';
import { partialWrite } from './partial-write.ts';
import { pcallSwallow } from './pcall-swallow.ts';
import { randomPopLoop } from './random-pop-loop.ts';
import { readThenWrite } from './read-then-write.ts';
import { replicateCommands } from './replicate-commands.ts';
import { scanLoop } from './scan-loop.ts';
import { selectInScript } from './select-in-script.ts';
import { setrespShape } from './setresp-shape.ts';
import { tableOrder } from './table-order.ts';
import { timeBusyWait } from './time-busy-wait.ts';
import { unboundedLoop } from './unbounded-loop.ts';
import { unboundedRange } from './unbounded-range.ts';
import { undeclaredKeys } from './undeclared-keys.ts';
import { undefinedGlobal } from './undefined-global.ts';
import { unpackOverflow } from './unpack-overflow.ts';
import { versionGate } from './version-gate.ts';
import { wholeCollection } from './whole-collection.ts';

export const RULES: readonly Rule[] = [
  commandAbsent,
  optionAbsent,
  versionGate,
  errorText,
  tableOrder,
  timeBusyWait,
  keysScan,
  scanLoop,
  unboundedRange,
  wholeCollection,
  unboundedLoop,
  unpackOverflow,
  concatInLoop,
  bigJson,
  infiniteLoop,
  undeclaredKeys,
  keysFromData,
  numkeysMismatch,
  noscriptCommand,
  blockingInScript,
  globalWrite,
  undefinedGlobal,
  nondeterministicWrite,
  replicateCommands,
  pcallSwallow,
  partialWrite,
  flagsMissing,
  setrespShape,
  logLevel,
  arrayHole,
  floatAnswer,
  largeInteger,
  argumentType,
  booleanAnswer,
  selectInScript,
  flushInScript,
  randomPopLoop,
  legacyTableFunction,
  lengthOfHoles,
  emptyJson,
  deepRecursion,
  largeScript,
  clusterPublish,
  limiterWithoutTtl,
  readThenWrite,
];
