/** Findings → SARIF 2.1.0, as code scanning services read it. */
import { isAbsolute, sep } from 'node:path';
import { pathToFileURL } from 'node:url';
import { printable } from '../../printable.ts';
import type { Finding, LintResult } from '../engine.ts';
import { kindOf, type Rule, type Severity } from '../rule.ts';
import { decode } from '../sources/unit.ts';

const LEVELS: Record<Severity, 'error' | 'warning' | 'note'> = { error: 'error', warning: 'warning', info: 'note' };

export function reportSarif(result: LintResult, rules: readonly Rule[]): string {
  const used = rules.map((rule) => ({
    id: rule.code,
    name: rule.name,
    shortDescription: { text: rule.title },
    fullDescription: { text: rule.mechanism },
    help: { text: rule.fix },
    defaultConfiguration: { level: LEVELS[rule.severity(result.profile)] },
    properties: { category: rule.category, kind: kindOf(rule), range: rule.range.text },
  }));
  const resultOf = (finding: Finding, suppressions?: { kind: 'inSource'; justification: string }[]) => ({
    ruleId: finding.code,
    ruleIndex: rules.findIndex(({ code }) => code === finding.code),
    level: LEVELS[finding.severity],
    message: { text: printable(decode(`${finding.message}. ${finding.fix}`)) },
    locations: [
      {
        physicalLocation: {
          artifactLocation: { uri: uriOf(finding.file) },
          region: regionOf(finding),
        },
      },
    ],
    partialFingerprints: { 'cutover/v1': finding.fingerprint },
    ...(suppressions ? { suppressions } : {}),
  });
  return `${JSON.stringify(
    {
      $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
      version: '2.1.0',
      runs: [
        {
          tool: { driver: { name: 'cutover', informationUri: 'https://www.npmjs.com/package/cutover', rules: used } },
          columnKind: 'utf16CodeUnits',
          results: [
            ...result.findings.map((finding) => resultOf(finding)),
            ...result.suppressed.map(({ finding, reason }) =>
              resultOf(finding, [{ kind: 'inSource', justification: printable(decode(reason)) }]),
            ),
          ],
          invocations: [
            {
              executionSuccessful: true,
              toolExecutionNotifications: result.parseErrors.map(({ file, line, column, message }) => ({
                level: 'warning',
                message: { text: printable(decode(message)) },
                locations: [
                  {
                    physicalLocation: {
                      artifactLocation: { uri: uriOf(file) },
                      region: { startLine: line, startColumn: column },
                    },
                  },
                ],
              })),
            },
          ],
        },
      ],
    },
    null,
    2,
  )}\n`;
}

/** Columns count UTF-16 units there, bytes here. A place in a capture is its line. */
function regionOf({ script, line, column, source, length }: Finding) {
  if (script) return { startLine: line };
  const startColumn = decode(source.slice(0, column - 1)).length + 1;
  const endColumn = startColumn + Math.max(1, decode(source.slice(column - 1, column - 1 + length)).length);
  return { startLine: line, startColumn, endColumn };
}

const uriOf = (file: string) =>
  isAbsolute(file) ? pathToFileURL(file).href : file.split(sep).map(encodeURIComponent).join('/');
