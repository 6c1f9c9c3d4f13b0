/** Turns a rehearsal with two client libraries into what each step of the migration, client and server, does to latency. */
import type { Caveat } from '../errors.ts';
import { ARMS, type Arm } from '../measure/rehearsal.ts';
import { ALL_FAMILIES } from './budget.ts';
import { type Evidence, PERCENTILES } from './evidence.ts';
import { meanOf, studentQuantile } from './statistics.ts';
import { percentileName, signedPercent } from './wording.ts';

const SHOWN = [50, 99];

interface Effect {
  /** Mean over rounds of the log ratio of two response times, and the half-width of its interval. */
  mean: number;
  half: number;
}

/**
 * With `--client both` the slice pairs of a round alternate between two clients. Per round, the client's effect is the
 * difference of the mean log response of the second client's slices and the first's, over both servers; the server's is
 * that of candidate and baseline, with each client for itself. Intervals: mean ± t(1−α, K−1)·s/√K over K rounds.
 */
export function clientEffects({ rehearsal, budget, rounds, latency }: Evidence): Caveat[] {
  const slices = rounds.map(({ arms }) => arms.baseline.slices);
  const clients = [...new Set(slices.flat().map(({ client }) => client))].sort();
  const [first, second] = clients;
  if (first === undefined || second === undefined || rounds.length < 2) return [];
  const pairs = latency.get(ALL_FAMILIES)!;
  /** Per round: the mean log response with a client, on some arms. */
  const meansOf = (client: string, arms: readonly Arm[], percentile: number) =>
    pairs.map((ofRound, k) =>
      meanOf(
        ofRound.flatMap((pair, i) =>
          slices[k]![i]!.client === client
            ? arms.map((arm) => Math.log(Math.max(1, pair[arm].response.us[PERCENTILES.indexOf(percentile)]!)))
            : [],
        ),
      ),
    );
  const effect = (after: number[], before: number[]): Effect => {
    const differences = after.map((value, k) => value - before[k]!);
    const mean = meanOf(differences);
    const variance = differences.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (differences.length - 1);
    const t = studentQuantile(1 - budget.alpha, differences.length - 1);
    return { mean, half: t * Math.sqrt(variance / differences.length) };
  };
  const servers = `${rehearsal.arms.baseline.product} → ${rehearsal.arms.candidate.product}`;
  const effects = SHOWN.map((percentile) => ({
    name: percentileName(percentile),
    client: effect(meansOf(second, ARMS, percentile), meansOf(first, ARMS, percentile)),
    servers: [first, second].map((client) =>
      effect(meansOf(client, ['candidate'], percentile), meansOf(client, ['baseline'], percentile)),
    ),
  }));
  const message = effects
    .map(
      ({ name, client, servers: [withFirst, withSecond] }) =>
        `${name}: ${first} → ${second} ${shown(client)}; ${servers} ${shown(withFirst!)} with ${first}, ${shown(withSecond!)} with ${second}`,
    )
    .join('. ');
  return [
    {
      id: 'client-effect',
      message: `What each step of the migration does to response time. ${message}.`,
      advice: 'Rules judge the servers, over both clients. A step whose interval holds 0 % cannot be told from none.',
      numbers: Object.fromEntries(
        effects.flatMap(({ name, client, servers: [withFirst, withSecond] }) => [
          [`${name} client`, Math.expm1(client.mean)],
          [`${name} server with ${first}`, Math.expm1(withFirst!.mean)],
          [`${name} server with ${second}`, Math.expm1(withSecond!.mean)],
        ]),
      ),
    },
  ];
}

const shown = ({ mean, half }: Effect) =>
  `${signedPercent(Math.expm1(mean))} [${signedPercent(Math.expm1(mean - half))}, ${signedPercent(Math.expm1(mean + half))}]`;
