/** Turns INFO of each second into lines: what each server held and used in a round, the rounds of both arms over each other. */
import { ARMS, type Arm } from '../../measure/rehearsal.ts';
import type { ServerSample } from '../../measure/server-samples.ts';
import type { ReportSource } from '../source.ts';
import type { Axis, Plot, Series } from './plot.ts';

/** More lines over each other are a smear. */
const ROUNDS = 10;

export interface ServerLine {
  round: number;
  arm: Arm;
  samples: ServerSample[];
}

/** Of the first rounds; none where a folder keeps none. */
export function gatherServerLines({ rehearsal, samplesOf }: ReportSource): ServerLine[] {
  return rehearsal.rounds
    .slice(0, ROUNDS)
    .flatMap(({ index }, k) => ARMS.map((arm) => ({ round: index, arm, samples: samplesOf(k, arm) ?? [] })))
    .filter(({ samples }) => samples.length > 1);
}

/** A figure of one sample and the one before it; null where it cannot be had. */
export interface ServerMetric {
  title: string;
  axis: Axis;
  of: (sample: ServerSample, before: ServerSample | undefined) => number | null;
}

/** Both, the server's own and the kernel's for it. */
const cpuSeconds = ({ used_cpu_user: user, used_cpu_sys: system }: ServerSample) =>
  user === undefined || system === undefined ? undefined : user + system;

/** Cores in use between two samples. */
export function coresOf(sample: ServerSample, before: ServerSample | undefined): number | null {
  const [now, then] = [cpuSeconds(sample), before && cpuSeconds(before)];
  if (now === undefined || then === undefined || sample.atMs <= before!.atMs) return null;
  return Math.max(0, (1000 * (now - then)) / (sample.atMs - before!.atMs));
}

export const valuesOf = ({ samples }: ServerLine, { of }: ServerMetric): (number | null)[] =>
  samples.map((sample, i) => of(sample, samples[i - 1]));

/** Each server from its first sample on: servers of one round are not started at the same moment. */
export function serverPlot(lines: ServerLine[], metric: ServerMetric): Plot {
  const secondOf = ({ samples }: ServerLine, i: number) => Math.round((samples[i]!.atMs - samples[0]!.atMs) / 1000);
  const placed = lines.map((line) => {
    const bySecond = new Map<number, number | null>();
    for (const [i, value] of valuesOf(line, metric).entries()) bySecond.set(secondOf(line, i), value);
    return { ...line, bySecond };
  });
  const seconds = [...new Set(placed.flatMap(({ bySecond }) => [...bySecond.keys()]))].sort((a, b) => a - b);
  return {
    title: metric.title,
    x: { label: 'seconds since the server was started', scale: 'linear', unit: 'seconds', values: seconds },
    y: metric.axis,
    series: placed.map(
      ({ round, arm, bySecond }): Series => ({
        label: `${arm}, round ${round + 1}`,
        ...{ group: arm, colour: arm, style: 'thin' },
        y: seconds.map((second) => bySecond.get(second) ?? null),
      }),
    ),
    marks: [],
  };
}
