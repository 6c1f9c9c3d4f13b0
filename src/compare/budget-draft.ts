/** A model → a commented budget to start from: its busiest families, with limits that a default run can tell. */
import type { Model } from '../model/model.ts';
import { printable } from '../printable.ts';
import { DEFAULT_BUDGET } from './default-budget.ts';
import { studentQuantile } from './statistics.ts';
import { count, percent, shorten } from './wording.ts';

/** Families below this share of the requests are left to the limits for all; more than so many nobody reviews. */
const WORTH_NAMING = 0.03;
const MAX_FAMILIES = 6;

/** What a default run gives: rounds, and seconds under load per arm and round. */
const ROUNDS = 5;
const SECONDS_A_ROUND = 6;
/** Samples beyond a percentile that a round must have before the percentile can be judged, as metrics/latency.ts counts. */
const BEYOND_A_ROUND = 20;
const TAILS = [
  { name: 'p99.9', beyond: 0.001, floor: '200us' },
  { name: 'p99', beyond: 0.01, floor: '100us' },
  { name: 'p95', beyond: 0.05, floor: '100us' },
];
/** Standard deviations of ln q: between restarts of one server, and of a quantile with n samples beyond it, s/√n. */
const BETWEEN_ROUNDS = 0.03;
const TAIL_SLOPE = 0.7;
const ALPHA = 0.05;
const POWER = 0.9;

interface DraftOptions {
  model: Model;
  /** Ops per second of the capture. */
  rate: number;
  /** As the user named it. */
  source: string;
  /** Where editors find the JSON Schema, as seen from the file. */
  schemaPath: string;
}

/** The text parses, and judges all that the default budget judges. */
export function draftBudget({ model, rate, source, schemaPath }: DraftOptions): string {
  const busiest = [...model.families]
    .sort((a, b) => b.share - a.share)
    .filter(({ share }) => share >= WORTH_NAMING)
    .slice(0, MAX_FAMILIES);
  const names = new Set<string>();
  const objectives = busiest.flatMap((family) => {
    // One template can be in several databases; rules know families by name alone.
    if (names.has(family.template)) return [];
    names.add(family.template);
    const commands = Object.entries(family.commands).sort(([, a], [, b]) => b - a);
    const called = commands.slice(0, 3).map(([name]) => comment(name, 20));
    return objectiveOf(family.template, rate * family.share, [
      `${percent(family.share)} of the requests, mostly ${called.join(', ') || 'from scripts'}`,
    ]);
  });
  const body = DEFAULT_BUDGET.slice(0, DEFAULT_BUDGET.indexOf('# Families with a budget of their own'));
  return `# yaml-language-server: $schema=${schemaPath.replaceAll(/\s/g, encodeURIComponent)}
# Drafted from ${comment(source, 100)} (${count(rate)} requests per second). Say who answers for it:
# metadata: { name: "checkout cache", owner: "team-sre", review: 2027-06-30 }

${body}# Families with limits of their own; "*" stands for any text. Limits are what five rounds of two 3 s slices can tell at
# the captured rate. "level: warn" reports without deciding the verdict, "off" leaves a family to the limits above.
# "slo" is a promise to users, if there is one: what share of requests within what time. The candidate may then use up a
# quarter of the error budget more, and may not burn it at a rate that pages somebody; other limits, for one family:
#     budget: { extra_burn: 0.25, peak_burn: 14.4 }
${objectives.length === 0 ? '# objectives:\n#   - family: "session:*"\n' : `objectives:\n${objectives.join('\n')}\n`}
# Errors that are known and accepted, each with an owner and an end. "match" is a glob over COMMAND ERROR.
# correctness:
#   allow:
#     - { id: D-1, match: "object ERR", reason: "not used in production", owner: "team-sre", expires: 2027-06-30 }
`;
}

function objectiveOf(template: string, rate: number, remarks: string[]): string[] {
  const samples = rate * SECONDS_A_ROUND;
  const tail = TAILS.find(({ beyond }) => samples * beyond >= BEYOND_A_ROUND);
  if (!tail) {
    const needed = BEYOND_A_ROUND / TAILS.at(-1)!.beyond / Math.max(rate, Number.MIN_VALUE);
    return [
      `  # ${remarks.join('; ')}. ${count(samples)} samples a round are too few even for P95:`,
      `  # slices of ${count(Math.ceil(needed / 2))} s would do (--slice), or a higher --rate.`,
      `  - family: ${JSON.stringify(template)}`,
      '    level: off',
    ];
  }
  const lines = [
    `  # ${remarks.join('; ')}: ${count(rate * 60)} a minute.`,
    `  - family: ${JSON.stringify(template)}`,
    '    latency:',
    `      ${tail.name}: { max_increase: ${Math.round(100 * marginFor(samples * tail.beyond))}%, floor: ${tail.floor} }`,
    '    # slo: { threshold: 2ms, target: 99.9% }',
  ];
  const better = TAILS[TAILS.indexOf(tail) - 1];
  if (!better) return lines;
  const seconds = Math.ceil(BEYOND_A_ROUND / better.beyond / rate / 2);
  return [
    lines[0]!,
    `  # ${better.name.toUpperCase()} would take slices of ${count(seconds)} s (--slice).`,
    ...lines.slice(1),
  ];
}

/**
 * The smallest increase that a run finds with 90 % power, rounded up to 5 %, and never below 10 %, where the differences
 * between two restarts begin: (t₁₋α + t₀.₉)·s/√K with s from the paired quantiles of a round.
 */
function marginFor(beyond: number): number {
  const sd = Math.hypot(BETWEEN_ROUNDS, (Math.SQRT2 * TAIL_SLOPE) / Math.sqrt(beyond));
  const t = studentQuantile(1 - ALPHA, ROUNDS - 1) + studentQuantile(POWER, ROUNDS - 1);
  return Math.max(0.1, Math.ceil(20 * Math.expm1((t * sd) / Math.sqrt(ROUNDS))) / 20);
}

/** Text from a capture that stays inside its line. */
const comment = (text: string, width: number) => shorten(printable(text), width);
