/** A capture and the two servers → what lint finds in its scripts and commands, the riskiest first. */
import { selectRules } from '../lint/engine.ts';
import { lintPaths } from '../lint/index.ts';
import { parseServer } from '../lint/profile.ts';
import { RULES } from '../lint/rules/index.ts';
import type { Arm, LintSummary, Rehearsal } from '../measure/rehearsal.ts';

const RISK = { error: 100, warning: 10, info: 1 } as const;
const MAX_FINDINGS = 50;

/** What lint says of the capture's scripts and commands for these two servers; nothing of models and stdin. */
export async function lintForServers(name: string, arms: Rehearsal['arms'], replica: boolean): Promise<LintSummary[]> {
  if (name === '-' || name.endsWith('.json')) return [];
  const serverOf = (arm: Arm) => parseServer(`${arms[arm].product}@${arms[arm].version}`);
  const cluster = arms.candidate.primaries !== undefined;
  const profile = { from: serverOf('baseline'), to: serverOf('candidate'), rollback: false, cluster };
  const rules = selectRules(RULES, { hygiene: false, named: [] });
  const { findings } = await lintPaths([name], { profile, rules, replica });
  const summaries = new Map<string, LintSummary>();
  for (const { code, rule, severity, message, fix, calls = 1 } of findings) {
    const key = `${code} ${message}`;
    const known = summaries.get(key);
    if (known) known.calls += calls;
    else summaries.set(key, { code, rule, severity, message, fix, calls });
  }
  return [...summaries.values()]
    .sort((a, b) => RISK[b.severity] * b.calls - RISK[a.severity] * a.calls)
    .slice(0, MAX_FINDINGS);
}
