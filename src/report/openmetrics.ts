/** Turns a judged rehearsal into OpenMetrics text, for a push gateway or a textfile collector. */
import type { Verdict } from '../compare/judgement.ts';
import { ARMS } from '../measure/rehearsal.ts';
import { printable } from '../printable.ts';
import { PARTS } from './html/distributions.ts';
import type { ReportSource } from './source.ts';

type Labels = Record<string, string>;
type Sample = [Labels, number | null | undefined];

const VERDICTS: Verdict[] = ['pass', 'fail', 'inconclusive', 'invalid'];
const QUANTILES = { p50: '0.5', p90: '0.9', p99: '0.99', p999: '0.999', max: '1' } as const;

/**
 * OpenMetrics 1.0 (https://prometheus.io/docs/specs/om/open_metrics_spec/). Gauges only, states as 0 and 1, because push
 * gateways read the older text format, which has neither state sets nor infos.
 */
export function reportOpenmetrics({ judgement, rehearsal }: ReportSource): string {
  const { verdict, rules, rounds, latency, memory, arms, caveats } = judgement;
  const samplesOf = (some: typeof rules, of: (rule: (typeof rules)[number]) => Sample[]) =>
    some.flatMap((rule) => of(rule).map(([labels, value]): Sample => [{ rule: rule.id, ...labels }, value]));
  const ratios = rules.filter(({ change }) => change.unit === 'ratio');
  const families = [
    gauge('cutover_run', 'What was rehearsed, as labels.', [
      [
        {
          ...Object.fromEntries(ARMS.map((arm) => [arm, `${arms[arm].product} ${arms[arm].version}`])),
          ...{ seed: judgement.seed, cutover: rehearsal.cutover },
        },
        1,
      ],
    ]),
    gauge('cutover_started_timestamp_seconds', 'When the run began, in Unix time.', [
      [{}, Date.parse(rehearsal.startedAt) / 1000],
    ]),
    gauge(
      'cutover_verdict',
      '1 for the verdict of the run, 0 for the others.',
      VERDICTS.map((state) => [{ verdict: state }, Number(state === verdict)]),
    ),
    gauge('cutover_exit_code', 'Exit code of the run.', [[{}, judgement.exitCode]]),
    gauge('cutover_rounds', 'Rounds that were planned, and that could be judged.', [
      [{ state: 'planned' }, rounds.planned],
      [{ state: 'judged' }, rounds.judged],
    ]),
    gauge(
      'cutover_rule_outcome',
      '1: this is the outcome of the rule.',
      samplesOf(rules, ({ outcome, level }) => [[{ outcome, level }, 1]]),
    ),
    gauge(
      'cutover_rule_value',
      'What the rule is about, on each arm, in its unit.',
      samplesOf(rules, (rule) => ARMS.map((arm) => [{ arm, unit: rule.unit }, rule[arm]])),
    ),
    gauge(
      'cutover_rule_change_ratio',
      'Candidate over baseline minus one, with one-sided bounds.',
      samplesOf(ratios, ({ change: { estimate, low, high } }) => [
        [{ bound: 'estimate' }, estimate],
        [{ bound: 'low' }, low],
        [{ bound: 'high' }, high],
      ]),
    ),
    gauge(
      'cutover_rule_allowed_ratio',
      'The largest change that the budget allows.',
      samplesOf(ratios, ({ allowed }) => [[{}, allowed]]),
    ),
    gauge(
      'cutover_latency_seconds',
      'Latency of all requests by part; quantile 1 is the maximum.',
      ARMS.flatMap((arm) =>
        PARTS.flatMap((part) =>
          Object.entries(QUANTILES).map(([name, quantile]): Sample => {
            const spectrum = latency[arm][part];
            const us = spectrum[name as keyof typeof QUANTILES];
            return [{ arm, part, quantile }, spectrum.samples > 0 ? us / 1e6 : undefined];
          }),
        ),
      ),
    ),
    gauge(
      'cutover_latency_samples',
      'Requests behind the latencies.',
      ARMS.flatMap((arm) => PARTS.map((part): Sample => [{ arm, part }, latency[arm][part].samples])),
    ),
    gauge(
      'cutover_memory_rss_bytes',
      'Resident memory at the end, mean over rounds.',
      ARMS.map((arm) => [{ arm }, memory[arm]?.rssBytes]),
    ),
    gauge(
      'cutover_memory_rss_per_logical_byte',
      'Growth of resident memory per byte of the preload.',
      ARMS.map((arm) => [{ arm }, memory[arm]?.rssPerLogicalByte]),
    ),
    gauge(
      'cutover_caveats',
      'How often each caveat was raised.',
      [...new Set(caveats.map(({ id }) => id))].map((id) => [
        { id },
        caveats.filter((caveat) => caveat.id === id).length,
      ]),
    ),
  ];
  return `${families.join('')}# EOF\n`;
}

/** A metric family; samples without a value are left out, and a family without samples says nothing. */
function gauge(name: string, help: string, samples: Sample[]): string {
  const lines = samples.flatMap(([labels, value]) => {
    if (value === null || value === undefined) return [];
    const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escapeLabel(text)}"`);
    return [`${name}${pairs.length > 0 ? `{${pairs.join(',')}}` : ''} ${Number(value.toPrecision(15))}\n`];
  });
  return lines.length === 0 ? '' : `# TYPE ${name} gauge\n# HELP ${name} ${help}\n${lines.join('')}`;
}

const escapeLabel = (text: string) => printable(text).replaceAll('\\', '\\\\').replaceAll('"', '\\"');
