/** Turns a rehearsal under way into the block that is redrawn while it runs, and into the same in one line. */
import { ALL_FAMILIES } from '../../compare/budget.ts';
import type { JudgedRule } from '../../compare/judgement.ts';
import { allowedOf, changeOf, figureOf, intervalOf } from '../../compare/sentence.ts';
import { bytes, count, duration, percent, plural } from '../../compare/wording.ts';
import type { LatencyHistogram } from '../../measure/histogram.ts';
import { ARMS, type Arm, type Rehearsal, type SliceResult } from '../../measure/rehearsal.ts';
import { type Colour, plainColour, toneOf } from './colour.ts';
import { alignTable } from './layout.ts';
import { intervalPicture, intervalScale, progressBar } from './picture.ts';

const WIDTH = 79;
const PICTURE_WIDTH = 25;

export interface LiveRun {
  /** As far as it got: the last round may be under way. */
  rehearsal: Rehearsal;
  /** 0-based round under way, and what is being done in it. */
  round: number;
  doing: string;
  elapsedSeconds: number;
  leftSeconds: number;
  /** Response times of all slices so far. */
  response: Record<Arm, LatencyHistogram>;
  /** The rules over the complete rounds, once there are some. */
  judged: { rounds: number; rules: JudgedRule[]; level: number } | undefined;
}

/** At most 79 columns, since a terminal may break a line that fills its width. */
export function liveBlock(run: LiveRun, colour: Colour = plainColour): string[] {
  const { rehearsal, round, doing, elapsedSeconds, leftSeconds } = run;
  const head = `round ${round + 1} of ${rehearsal.settings.rounds}: ${doing}`;
  const left = leftOf(run);
  return [
    `${head.slice(0, WIDTH - left.length - 2).padEnd(WIDTH - left.length)}${colour('strong', left)}`,
    colour('quiet', progressBar(elapsedSeconds / Math.max(1e-9, elapsedSeconds + leftSeconds), WIDTH)),
    '',
    ...armLines(run),
    '',
    generatorLine(run, colour),
    '',
    ...ruleLines(run, colour),
  ];
}

/** One line for logs: where the run is, the tails so far, and the rule that is nearest to its limit. */
export function liveLine(run: LiveRun): string {
  const { rehearsal, round, doing, response, judged } = run;
  const tails = ARMS.every((arm) => response[arm].count > 0)
    ? [`P99.9 ${ARMS.map((arm) => duration(response[arm].quantile(0.999))).join(' → ')}`]
    : [];
  const rule = nearest(judged?.rules ?? []);
  const interval = rule
    ? [
        `${rule.label} ${changeOf(rule)} ${intervalOf(rule)} of ${allowedOf(rule)} allowed after ${plural(judged!.rounds, 'round')}`,
      ]
    : [];
  return [`round ${round + 1} of ${rehearsal.settings.rounds}: ${doing}`, leftOf(run), ...tails, ...interval].join(
    '; ',
  );
}

/** A run that may stop at a look ends earlier. */
const leftOf = ({ rehearsal: { settings }, leftSeconds }: LiveRun) =>
  `${(settings.looks?.rounds.length ?? 0) > 1 ? 'at most ' : ''}${clock(leftSeconds)} left`;

/** 59 s, 1:23 min, 1:02:03 h. */
function clock(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const two = (value: number) => String(value).padStart(2, '0');
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}:${two(whole % 60)} min`;
  return `${Math.floor(whole / 3600)}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)} h`;
}

const slicesOf = ({ rounds }: Rehearsal, arm: Arm): SliceResult[] => rounds.flatMap(({ arms }) => arms[arm].slices);
const sumOf = <T>(items: T[], of: (item: T) => number) => items.reduce((sum, item) => sum + of(item), 0);

function armLines({ rehearsal, response }: LiveRun): string[] {
  const rows = ARMS.map((arm) => {
    const slices = slicesOf(rehearsal, arm);
    const histogram = response[arm];
    const errors = sumOf(slices, (slice) => sumOf(Object.values(slice.errors), (times) => times) + slice.lost);
    const memory = rehearsal.rounds.at(-1)?.arms[arm].memory;
    const rss = (memory?.end ?? memory?.fill)?.rssBytes;
    const quantiles = [0.5, 0.99, 0.999].map((q) => (histogram.count > 0 ? duration(histogram.quantile(q)) : '-'));
    const rate = slices.length > 0 ? count(sumOf(slices, (s) => s.replied) / sumOf(slices, (s) => s.seconds)) : '-';
    return [arm, ...quantiles, rate, count(errors), rss === undefined ? '-' : bytes(rss)];
  });
  const titles = ['P50', 'P99', 'P99.9', 'replies/s', 'errors', 'RSS'];
  return alignTable(
    [{ title: 'response', align: 'left' }, ...titles.map((title) => ({ title, align: 'right' }) as const)],
    // Fixed widths, so that nothing jumps while figures grow.
    rows.map((cells) => cells.map((cell, i) => (i === 0 ? cell : cell.padStart(9)))),
  );
}

/** Where lag makes up more of the P99 than this, the verdict will have to ask service time. */
const LAG_SHARE = 0.5;
const ACHIEVED_AT_LEAST = 0.99;

/** How many slices the generator spoiled, and how badly the worst. */
function generatorLine({ rehearsal, response }: LiveRun, colour: Colour): string {
  const slices = ARMS.flatMap((arm) => {
    const p99Us = response[arm].count > 0 ? response[arm].quantile(0.99) : Number.POSITIVE_INFINITY;
    return slicesOf(rehearsal, arm).map(({ generator: { achievedRate, plannedRate, lagUs } }) => ({
      sent: achievedRate / plannedRate,
      lagUs: lagUs.p99,
      isLate: lagUs.p99 > LAG_SHARE * p99Us,
    }));
  });
  if (slices.length === 0) return `generator  ${plural(rehearsal.settings.workers, 'thread')}, nothing measured yet`;
  const behind = slices.filter(({ sent }) => sent < ACHIEVED_AT_LEAST).length;
  const late = slices.filter(({ isLate }) => isLate).length;
  const of = (some: number) => `in ${some} of ${plural(slices.length, 'slice')}`;
  const state =
    behind > 0
      ? colour('bad', `BEHIND ${of(behind)}`)
      : late > 0
        ? colour('unsure', `LATE ${of(late)}`)
        : colour('good', 'keeps up');
  const sent = percent(Math.min(1, ...slices.map((slice) => slice.sent)));
  const lag = duration(Math.max(...slices.map((slice) => slice.lagUs)));
  return `generator  ${state}; worst: ${sent} of the plan, lag P99 ${lag}`;
}

/** Ratios with an interval have a picture; of the rest only what fails is worth a line now. */
function ruleLines({ judged }: LiveRun, colour: Colour): string[] {
  const gating = (judged?.rules ?? []).filter(({ level, family }) => level === 'error' && family === ALL_FAMILIES);
  const pictured = gating.filter((rule) => intervalPicture(rule, PICTURE_WIDTH) !== '' && rule.change.unit === 'ratio');
  const failing = gating.filter((rule) => !pictured.includes(rule) && rule.outcome === 'fail');
  if (!judged || pictured.length + failing.length === 0) return ['intervals begin with the second complete round'];
  const title = (text: string, align: 'left' | 'right') => ({ title: text, align });
  return [
    ...alignTable(
      [
        title(`after ${plural(judged.rounds, 'round')}`, 'left'),
        title(`change [${percent(1 - 2 * judged.level)}]`, 'left'),
        title('allowed', 'right'),
        title(intervalScale(PICTURE_WIDTH), 'left'),
        title('so far', 'left'),
      ],
      pictured.map((rule) => [
        rule.label,
        `${changeOf(rule)} ${intervalOf(rule).replaceAll(' %', '')}`,
        allowedOf(rule),
        intervalPicture(rule, PICTURE_WIDTH),
        // The block has no room for the reasons of the report.
        rule.outcome === 'inconclusive' ? 'open' : rule.outcome === 'fail' ? 'OVER' : rule.outcome,
      ]),
      (text, row, column) => (column === 4 ? colour(toneOf(pictured[row]!), text) : text),
    ),
    ...failing.map((rule) =>
      colour('bad', `${rule.label}: ${figureOf(rule, rule.candidate)}, allowed ${allowedOf(rule)}: OVER`),
    ),
  ];
}

/** The gating rule on a ratio, of all families, whose upper bound uses up most of its allowance. */
function nearest(rules: JudgedRule[]): JudgedRule | undefined {
  const use = ({ change, allowed }: JudgedRule) => (change.high ?? 0) / (allowed || Number.POSITIVE_INFINITY);
  return rules
    .filter(({ level, family, change }) => level === 'error' && family === ALL_FAMILIES && change.unit === 'ratio')
    .filter(({ change }) => change.high !== null)
    .sort((a, b) => use(b) - use(a))[0];
}
