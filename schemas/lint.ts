/** The document of `cutover lint --json`, as zod: kept to its type by the compiler. */
import { z } from 'zod';
import type { LintDocument } from '../src/lint/report/json.ts';

const place = { file: z.string(), line: z.int(), column: z.int() };

const finding = {
  rule: z.string().describe('Kebab-case name of the rule.'),
  code: z.string().describe('Its number in the catalogue: D11, H04.'),
  severity: z.enum(['error', 'warning', 'info']),
  category: z.string(),
  ...place,
  script: z
    .strictObject({ sha: z.string(), line: z.int(), column: z.int() })
    .optional()
    .describe('For a script of a capture: which one, and the place in it; `line` is then its line in the capture.'),
  length: z.int().describe('Bytes that the finding covers in its line.'),
  message: z.string(),
  fix: z.string(),
  range: z.string().describe('The releases that it concerns, in words.'),
  source: z.string().describe('The line.'),
  calls: z.int().optional().describe('How often a capture saw the script or command called.'),
  clients: z.int().optional().describe('By how many clients.'),
  copies: z.array(z.string()).optional().describe('Other files with the same script.'),
  fingerprint: z.string().describe('The same for the same finding in the same text, wherever its lines move.'),
} satisfies Record<keyof LintDocument['findings'][number], z.ZodType>;

const parseError = z.looseObject({ ...place, message: z.string() });

const document = {
  schema: z.literal('cutover/lint@1'),
  profile: z.strictObject({ from: z.string(), to: z.string(), rollback: z.boolean(), cluster: z.boolean() }),
  findings: z.array(z.strictObject(finding)),
  scripts: z.int().describe('Scripts that were read, equal ones once.'),
  parseErrors: z.array(parseError),
  suppressed: z.array(z.strictObject({ ...finding, reason: z.string() })).describe('By a comment, with its reason.'),
  known: z.int().describe('Left out because the baseline has them.'),
  notes: z.array(z.string()),
  verification: z
    .strictObject({
      server: z.string(),
      scripts: z.int(),
      compiled: z.int(),
      refused: z.array(parseError),
      unread: z.array(parseError),
    })
    .optional()
    .describe('What a server said of the scripts, where one was asked.'),
  failed: z.boolean().describe('Whether the command exits 1.'),
} satisfies Record<keyof Required<LintDocument>, z.ZodType>;

export const LintSchema = z.strictObject(document);
