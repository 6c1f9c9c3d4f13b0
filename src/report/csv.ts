/** Turns a judged rehearsal into percentiles as CSV: a row per arm and part of all requests, then per family and command. */
import { ALL_FAMILIES } from '../compare/budget.ts';
import type { LatencyHistogram } from '../measure/histogram.ts';
import { ARMS, type Arm } from '../measure/rehearsal.ts';
import { printable } from '../printable.ts';
import { defendedUntil, gatherDistributions, PARTS } from './html/distributions.ts';
import type { ReportSource } from './source.ts';

const PERCENTILES = [50, 75, 90, 95, 99, 99.5, 99.9, 99.95, 99.99];
const ALL_COMMANDS = '*';

/** RFC 4180, with plain line feeds. Latencies are whole µs; a percentile that the samples cannot defend is left empty. */
export function reportCsv(source: ReportSource): string {
  const { total, labels } = gatherDistributions(source);
  const title = ['arm', 'part', 'family', 'command', 'samples', ...PERCENTILES.map((p) => `p${p}_us`), 'max_us'];
  const row = (arm: Arm, part: string, family: string, command: string, histogram: LatencyHistogram) => [
    ...[arm, part, family, command, histogram.count],
    ...PERCENTILES.map((p) => (100 / (100 - p) <= defendedUntil(histogram.count) ? histogram.quantile(p / 100) : '')),
    histogram.count > 0 ? histogram.max : '',
  ];
  const rows = [
    ...ARMS.flatMap((arm) => PARTS.map((part) => row(arm, part, ALL_FAMILIES, ALL_COMMANDS, total[arm][part]))),
    ...labels.flatMap(({ family, command, response }) =>
      ARMS.map((arm) => row(arm, 'response', family, command, response[arm])),
    ),
  ];
  return [title, ...rows].map((cells) => `${cells.map(escapeCell).join(',')}\n`).join('');
}

/**
 * A spreadsheet takes a cell that begins like this for a formula, quoted or not; behind an apostrophe it is text
 * (https://owasp.org/www-community/attacks/CSV_Injection).
 */
const FORMULA = /^[=+\-@\t\r]/;

function escapeCell(value: string | number): string {
  if (typeof value === 'number') return String(value);
  const text = printable(value).replace(FORMULA, "'$&");
  return /[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
