/** A result → the document `cutover/lint@1`. */
import { type Finding, hasFailed, type LintResult } from '../engine.ts';
import { nameServer, type Profile } from '../profile.ts';
import type { Severity } from '../rule.ts';
import { decode } from '../sources/unit.ts';

const profileOf = ({ from, to, rollback, cluster }: Profile) => ({
  from: nameServer(from),
  to: nameServer(to),
  rollback,
  cluster,
});

function documentOf(finding: Finding) {
  const { unit: _unit, source, message, ...rest } = finding;
  return { ...rest, message: decode(message), source: decode(source) };
}

export const lintDocument = (result: LintResult, failOn: Severity) => ({
  schema: 'cutover/lint@1' as const,
  profile: profileOf(result.profile),
  findings: result.findings.map(documentOf),
  scripts: result.scripts,
  parseErrors: result.parseErrors.map((error) => ({ ...error, message: decode(error.message) })),
  suppressed: result.suppressed.map(({ finding, reason }) => ({ ...documentOf(finding), reason: decode(reason) })),
  known: result.known,
  notes: result.notes,
  ...(result.verification ? { verification: result.verification } : {}),
  failed: hasFailed(result, failOn),
});

export type LintDocument = ReturnType<typeof lintDocument>;
