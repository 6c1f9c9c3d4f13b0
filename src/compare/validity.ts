/** Turns a rehearsal's own health into the rounds that may be judged, and into what makes the run invalid or unable to pass. */
import type { Caveat } from '../errors.ts';
import { ARMS, type Arm, type Rehearsal, type Round } from '../measure/rehearsal.ts';
import { spoiledBy } from '../measure/spoiled.ts';
import { printable } from '../printable.ts';
import { meanOf } from './statistics.ts';
import { percent, plural, quote, shorten } from './wording.ts';

export interface Validity {
  /** Complete rounds whose measurement was not spoiled. */
  rounds: Round[];
  /** Each a clause; one is enough. */
  invalid: string[];
  /** Each a clause; with one of these a pass becomes inconclusive. */
  cannotPass: string[];
  caveats: Caveat[];
}

/** Sent over planned; below this the load was another than the one planned. */
const ACHIEVED_AT_LEAST = 0.99;
/** More spoiled rounds than this: the rest are the lucky ones. */
const SPOILED_AT_MOST = 0.2;
/** Of the ops, those that back-pressure held back; above this the server is saturated, and response time is the queue's. */
const HELD_AT_MOST = 0.001;
/** Of all processor time, what the hypervisor may give to others without a word about it. */
const STEAL_AT_MOST = 0.01;

/** Settings without which the servers do different work: comparing them would not be about the servers. */
const SAME_WORK = ['maxmemory', 'maxmemory-policy', 'appendonly', 'appendfsync', 'save', 'cluster-enabled'];
/** Settings that move latency or memory, but whose new default is part of the migration. */
const MOVES_FIGURES =
  /^(io-threads.*|activedefrag|active-defrag-.*|lazyfree-.*|hz|dynamic-hz|.*-(list|zip)pack-.*|.*-ziplist-.*|set-max-intset-entries|active-expire-effort|maxmemory-(samples|clients|eviction-tenacity)|client-output-buffer-limit|rdbcompression|tracking-.*|latency-tracking|activerehashing|jemalloc-bg-thread)$/;

export function assessValidity(rehearsal: Rehearsal): Validity {
  const complete = rehearsal.rounds.filter((round) => isComplete(round, rehearsal));
  const spoiled = complete.flatMap((round) => spoiledRound(round) ?? []);
  const rounds = complete.filter((round) => spoiledRound(round) === undefined);
  const validity: Validity = { rounds, invalid: [], cannotPass: [], caveats: [] };
  assessSpoiled(validity, complete, spoiled);
  assessCandidatesRate(validity);
  assessSaturation(validity);
  assessPriority(validity);
  assessSteal(validity);
  assessEnd(validity, rehearsal);
  assessConfiguration(validity, rehearsal);
  assessCalibration(validity, rehearsal);
  assessShard(validity, rehearsal);
  return validity;
}

/** Every slice pair ran to its end on both arms; the last round of a run that was cut short is not complete. */
const isComplete = ({ arms: { baseline, candidate } }: Round, { settings, stopped }: Rehearsal) =>
  baseline.slices.length === settings.slicePairs &&
  candidate.slices.length === settings.slicePairs &&
  baseline.slices.every(({ pair }) => candidate.slices.some((slice) => slice.pair === pair)) &&
  !(stopped && [...baseline.slices, ...candidate.slices].some(({ unsent }) => unsent > 0));

/** Over the whole round: a hiccup as a slice ends makes that slice look late, and costs nothing. */
const achieved = ({ arms }: Round, arm: Arm) => {
  const { slices } = arms[arm];
  return (
    meanOf(slices.map(({ generator }) => generator.achievedRate)) /
    meanOf(slices.map(({ generator }) => generator.plannedRate))
  );
};

/** Why a round must not be used, if so. */
function spoiledRound(round: Round): string | undefined {
  if (round.invalid !== undefined) return round.invalid;
  const share = achieved(round, 'baseline');
  if (share < ACHIEVED_AT_LEAST)
    return `the generator sent the baseline ${percent(share)} of the planned rate in round ${round.index + 1}`;
  for (const arm of ARMS) {
    for (const slice of round.arms[arm].slices) {
      const reason = spoiledBy(slice);
      if (reason) return `${reason} in slice ${slice.position + 1} of round ${round.index + 1} (${arm})`;
    }
  }
  return undefined;
}

/** @param spoiled a reason per spoiled round. */
function assessSpoiled({ invalid, caveats }: Validity, complete: Round[], spoiled: string[]): void {
  if (spoiled.length === 0) return;
  const message = `${spoiled.length} of ${plural(complete.length, 'round')} spoiled: ${shorten(printable(spoiled[0]!), 200)}`;
  caveats.push({
    id: 'rounds-spoiled',
    message,
    advice:
      'Lower --rate, free the machine of other work, or give generator and servers cores of their own (see cutover doctor).',
    numbers: { spoiled: spoiled.length, rounds: complete.length },
  });
  if (spoiled.length > SPOILED_AT_MOST * complete.length) invalid.push(message);
}

/**
 * A rate that only the candidate does not get is no accident of the generator's, which drives both arms in turn: most
 * likely the candidate is too slow for it. Dropping those rounds would drop the evidence against it, so they are
 * judged: response time counts from the intended send and holds the waiting. But such a run cannot pass.
 */
function assessCandidatesRate({ rounds, cannotPass, caveats }: Validity): void {
  const behind = rounds.filter((round) => achieved(round, 'candidate') < ACHIEVED_AT_LEAST);
  if (behind.length === 0) return;
  const share = Math.min(...behind.map((round) => achieved(round, 'candidate')));
  const message = `the candidate got as little as ${percent(share)} of the planned rate in ${behind.length} of ${plural(rounds.length, 'round')}, the baseline all of it`;
  caveats.push({
    id: 'candidate-behind',
    message,
    advice:
      'See whether the candidate is saturated (its CPU, its log); a lower --rate compares latency short of saturation.',
    numbers: { achieved: share, rounds: behind.length },
  });
  cannotPass.push(message);
}

/**
 * Beyond saturation the response time is that of a queue which grows until the slice ends: it compares how long the slices
 * were. Judged, because a candidate that saturates first is worse; but never passed.
 */
function assessSaturation({ rounds, cannotPass, caveats }: Validity): void {
  const heldBy = (arm: Arm) => {
    const slices = rounds.flatMap(({ arms }) => arms[arm].slices);
    const sum = (of: (slice: (typeof slices)[number]) => number) =>
      slices.reduce((total, slice) => total + of(slice), 0);
    return (
      sum(({ heldByCap }) => heldByCap ?? 0) /
      Math.max(
        1,
        sum(({ planned }) => planned),
      )
    );
  };
  const [baseline, candidate] = [heldBy('baseline'), heldBy('candidate')];
  if (Math.max(baseline, candidate) <= HELD_AT_MOST) return;
  const message = `the servers do not keep up with the rate: back-pressure held back ${percent(baseline)} of the baseline's requests and ${percent(candidate)} of the candidate's`;
  caveats.push({
    id: 'saturated',
    message,
    advice: 'Lower --rate: latency is comparable below about 70 % of what both servers can do.',
    numbers: { baseline, candidate },
  });
  cannotPass.push(message);
}

/** A generator or a server that gets the processor first on one arm only makes that arm faster. */
function assessPriority({ rounds, invalid }: Validity): void {
  const prioritiesOf = (arm: Arm) => ({
    generator: rounds.flatMap(({ arms }) => arms[arm].slices.map(({ generator }) => generator.priority)),
    server: rounds.map(({ arms }) => arms[arm].serverPriority),
  });
  const [baseline, candidate] = [prioritiesOf('baseline'), prioritiesOf('candidate')];
  for (const what of ['generator', 'server'] as const) {
    const [ours, theirs] = [baseline[what], candidate[what]].map((all) => [...new Set(all)].filter((one) => one));
    if (ours!.length === 0 || theirs!.length === 0 || ours!.toSorted().join() === theirs!.toSorted().join()) continue;
    invalid.push(
      `the ${what} ran at different priorities: ${ours!.join(' and ')} with the baseline, ${theirs!.join(' and ')} with the candidate`,
    );
  }
}

/** Steal hits both arms and widens the interval; who wants a narrower one should know where it comes from. */
function assessSteal({ rounds, caveats }: Validity): void {
  const stolen = (arm: Arm) => {
    const hosts = rounds.flatMap(({ arms }) => arms[arm].slices.flatMap(({ host }) => host ?? []));
    return hosts.length === 0 ? 0 : meanOf(hosts.map(({ stealShare }) => stealShare));
  };
  const [baseline, candidate] = [stolen('baseline'), stolen('candidate')];
  if (Math.max(baseline, candidate) <= STEAL_AT_MOST) return;
  caveats.push({
    id: 'steal',
    message: `the hypervisor gave processor time to others: ${percent(baseline)} while the baseline was measured, ${percent(candidate)} while the candidate was`,
    advice: 'Tails are partly the hypervisor’s then. A machine with dedicated cores needs fewer rounds.',
    numbers: { baseline, candidate },
  });
}

function assessEnd({ rounds, cannotPass, caveats }: Validity, { stopped, finishedAt, settings }: Rehearsal): void {
  if (!stopped && finishedAt) return;
  const why = stopped ? shorten(printable(stopped.message), 200) : 'it has no end: still going on, or killed';
  const message = `the run was stopped after ${rounds.length} of ${plural(settings.rounds, 'round')} (${why})`;
  caveats.push({
    id: 'stopped',
    message,
    advice: 'What was measured is judged, but a run that was stopped cannot pass: repeat it with the command below.',
    numbers: { rounds: rounds.length, planned: settings.rounds },
  });
  cannotPass.push(message);
}

/** A slot in which the same server is faster makes whichever server runs in it faster. */
function assessCalibration({ invalid, caveats }: Validity, { calibration }: Rehearsal): void {
  if (!calibration) return;
  const { rounds, biased, unresolvable } = calibration;
  const place = `in ${plural(rounds, 'round')} of the baseline against itself`;
  for (const clause of biased) invalid.push(`${printable(clause)}, ${place}`);
  if (unresolvable.length === 0) return;
  caveats.push({
    id: 'unresolvable',
    message: `${unresolvable.map(printable).join('; ')} (${place})`,
    advice:
      'Plan more rounds, widen the margin, or use a calmer host with more cores: cutover doctor says what it lacks.',
    numbers: { rounds },
  });
}

function assessShard({ cannotPass, caveats }: Validity, { shard }: Rehearsal): void {
  if (!shard) return;
  const message = `this is shard ${shard.number} of ${shard.count}: what one machine saw of a load that others made too`;
  caveats.push({ id: 'shard', message, advice: 'Judge the whole: cutover merge with the folders of all shards.' });
  cannotPass.push(message);
}

function assessConfiguration({ invalid, caveats }: Validity, { configDifferences }: Rehearsal): void {
  // A setting that one server does not have cannot be set alike.
  const both = configDifferences.flatMap(({ name, baseline, candidate }) =>
    baseline === undefined || candidate === undefined ? [] : [{ name, baseline, candidate }],
  );
  const list = (settings: typeof both) =>
    settings
      .slice(0, 6)
      .map(({ name, baseline, candidate }) => `${printable(name)} ${quote(baseline)} → ${quote(candidate)}`)
      .join(', ') + (settings.length > 6 ? ` and ${settings.length - 6} more` : '');
  const work = both.filter(({ name }) => SAME_WORK.includes(name));
  const figures = both.filter(({ name }) => MOVES_FIGURES.test(name));
  if (work.length > 0) {
    const message = `the servers are configured for different work: ${list(work)}`;
    caveats.push({
      id: 'configuration-differs',
      message,
      advice: 'Set these alike on both servers and repeat the run.',
    });
    invalid.push(message);
  }
  if (figures.length > 0) {
    caveats.push({
      id: 'defaults-differ',
      message: `settings that move latency or memory differ: ${list(figures)}`,
      advice: 'Fine if production will run like this; else set them alike, so that only the server differs.',
    });
  }
}
