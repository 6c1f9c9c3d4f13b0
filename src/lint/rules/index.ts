/** Every rule, in the order of the catalogue. */
import type { Rule } from '../rule.ts';
import { aclRules } from './acl-rules.ts';
import { argumentType } from './argument-type.ts';
import { arrayHole } from './array-hole.ts';
import { bigJson } from './big-json.ts';
import { blockingInScript } from './blocking-in-script.ts';
import { booleanAnswer } from './boolean-answer.ts';
import { busyText } from './busy-text.ts';
import { clusterPublish } from './cluster-publish.ts';
import { commandAbsent } from './command-absent.ts';
import { concatInLoop } from './concat-in-loop.ts';
import { configDirective } from './config-directive.ts';
import { deepRecursion } from './deep-recursion.ts';
import { deprecatedCommand } from './deprecated-command.ts';
import { dynamicScript } from './dynamic-script.ts';
import { emptyJson } from './empty-json.ts';
import { errorSha } from './error-sha.ts';
import { errorText } from './error-text.ts';
import { evictedEvalsha } from './evicted-evalsha.ts';
import { expiredField } from './expired-field.ts';
import { fieldTtl } from './field-ttl.ts';
import { flagsMissing } from './flags-missing.ts';
import { floatAnswer } from './float-answer.ts';
import { floatFormat } from './float-format.ts';
import { flushInScript } from './flush-in-script.ts';
import { freeThenAllocate } from './free-then-allocate.ts';
import { globalWrite } from './global-write.ts';
import { infiniteLoop } from './infinite-loop.ts';
import { infoVersion } from './info-version.ts';
import { insecureLuaApi } from './insecure-lua-api.ts';
import { keysFromData } from './keys-from-data.ts';
import { keysScan } from './keys-scan.ts';
import { largeInteger } from './large-integer.ts';
import { largeScript } from './large-script.ts';
import { latencyColumns } from './latency-columns.ts';
import { legacyTableFunction } from './legacy-table-function.ts';
import { lengthOfHoles } from './length-of-holes.ts';
import { limiterWithoutTtl } from './limiter-without-ttl.ts';
import { logLevel } from './log-level.ts';
import { moduleCommand } from './module-command.ts';
import { moduleList } from './module-list.ts';
import { nestedMulti } from './nested-multi.ts';
import { nondeterministicWrite } from './nondeterministic-write.ts';
import { noscriptCommand } from './noscript-command.ts';
import { noscriptText } from './noscript-text.ts';
import { numkeysMismatch } from './numkeys-mismatch.ts';
import { objectEncoding } from './object-encoding.ts';
import { optionAbsent } from './option-absent.ts';
import { osClock } from './os-clock.ts';
import { partialWrite } from './partial-write.ts';
import { pcallSwallow } from './pcall-swallow.ts';
import { randomPopLoop } from './random-pop-loop.ts';
import { rdbFormat } from './rdb-format.ts';
import { readThenWrite } from './read-then-write.ts';
import { removedGlobal } from './removed-global.ts';
import { replicateCommands } from './replicate-commands.ts';
import { scanLoop } from './scan-loop.ts';
import { scanType } from './scan-type.ts';
import { selectInScript } from './select-in-script.ts';
import { serverNamespace } from './server-namespace.ts';
import { setrespShape } from './setresp-shape.ts';
import { shebang } from './shebang.ts';
import { tableOrder } from './table-order.ts';
import { timeBusyWait } from './time-busy-wait.ts';
import { timeMeasure } from './time-measure.ts';
import { unboundedLoop } from './unbounded-loop.ts';
import { unboundedRange } from './unbounded-range.ts';
import { undeclaredKeys } from './undeclared-keys.ts';
import { undefinedGlobal } from './undefined-global.ts';
import { unpackOverflow } from './unpack-overflow.ts';
import { unsubscribe } from './unsubscribe.ts';
import { versionConstant } from './version-constant.ts';
import { versionGate } from './version-gate.ts';
import { wholeCollection } from './whole-collection.ts';

export const RULES: readonly Rule[] = [
  commandAbsent,
  optionAbsent,
  deprecatedCommand,
  versionGate,
  versionConstant,
  infoVersion,
  errorText,
  noscriptText,
  errorSha,
  busyText,
  tableOrder,
  timeBusyWait,
  timeMeasure,
  floatFormat,
  insecureLuaApi,
  removedGlobal,
  osClock,
  serverNamespace,
  shebang,
  evictedEvalsha,
  dynamicScript,
  freeThenAllocate,
  scanType,
  nestedMulti,
  latencyColumns,
  configDirective,
  objectEncoding,
  expiredField,
  fieldTtl,
  moduleCommand,
  moduleList,
  unsubscribe,
  aclRules,
  rdbFormat,
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
