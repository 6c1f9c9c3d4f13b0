/** Findings ↔ a file of those that are known: with it only new ones fail. */
import { readFileSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import { CutoverError, messageOf } from '../errors.ts';
import { printable } from '../printable.ts';
import type { LintResult } from './engine.ts';
import { decode } from './sources/unit.ts';

const SCHEMA = 'cutover/lint-baseline@1';

const Baseline = z.object({
  schema: z.literal(SCHEMA),
  findings: z.array(z.object({ fingerprint: z.string(), rule: z.string(), file: z.string(), message: z.string() })),
});

/** Takes out what the file knows: each of its entries one finding, wherever its line has moved. */
export function withoutKnown(result: LintResult, path: string): LintResult {
  const left = new Map<string, number>();
  for (const { fingerprint } of read(path)) left.set(fingerprint, (left.get(fingerprint) ?? 0) + 1);
  const findings = result.findings.filter(({ fingerprint }) => {
    const count = left.get(fingerprint) ?? 0;
    left.set(fingerprint, count - 1);
    return count <= 0;
  });
  return { ...result, findings, known: result.findings.length - findings.length };
}

/** Throws CutoverError (usage) where the file cannot be written. */
export function writeBaseline({ findings }: LintResult, path: string): void {
  const known = findings.map(({ fingerprint, rule, file, message }) => ({
    fingerprint,
    rule,
    file,
    message: printable(decode(message)),
  }));
  known.sort((a, b) =>
    JSON.stringify([a.file, a.rule, a.fingerprint]) < JSON.stringify([b.file, b.rule, b.fingerprint]) ? -1 : 1,
  );
  try {
    writeFileSync(path, `${JSON.stringify({ schema: SCHEMA, findings: known }, null, 2)}\n`);
  } catch (error) {
    throw new CutoverError(
      'usage',
      'E_LINT_BASELINE',
      `Cannot write ${path}: ${messageOf(error)}.`,
      'Name a file in a folder that exists and that you may write to.',
    );
  }
}

function read(path: string) {
  try {
    return Baseline.parse(JSON.parse(readFileSync(path, 'utf8'))).findings;
  } catch (error) {
    const reason = error instanceof z.ZodError ? z.prettifyError(error) : messageOf(error);
    throw new CutoverError(
      'usage',
      'E_LINT_BASELINE',
      `${path} is no baseline of lint: ${reason}`,
      'Write one with: cutover lint PATH... --write-baseline known.json',
    );
  }
}
