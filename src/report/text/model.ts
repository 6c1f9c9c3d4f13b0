/** A model → the summary that a person reads. */
import type { Caveat } from '../../errors.ts';
import { busiestFamilies } from '../../model/busiest.ts';
import type { Difference } from '../../model/difference.ts';
import { quantileOf } from '../../model/histogram.ts';
import type { Model } from '../../model/model.ts';
import type { FidelityRow } from '../../plan/fidelity/fidelity.ts';
import { printable } from '../../printable.ts';

const SHOWN = 12;
const number = (value: number) => Math.round(value).toLocaleString('en-US');
const percent = (share: number) => `${(share * 100).toFixed(1)} %`;
const fit = (text: string, width: number) =>
  text.length > width ? `${text.slice(0, width - 1)}…` : text.padEnd(width);

/** At most 80 columns. */
export function summarizeModel(model: Model, fidelity: FidelityRow[], caveats: Caveat[]): string {
  const { source, clients, commands, scripts, transactions, pipelines } = model;
  const rejected = Object.values(source.rejected).reduce((a, b) => a + b, 0);
  const ops = model.units.reduce((sum, unit) => sum + unit.count * unit.ops.length, 0);
  const lines: string[] = [];
  const say = (label: string, text: string) => lines.push(`${label.padEnd(13)} ${text}`);
  say(
    'capture',
    `${number(source.lines)} lines, ${number(rejected)} rejected, ${source.spanSeconds.toFixed(1)} s from ${new Date(source.first * 1000).toISOString()}`,
  );
  say(
    'server',
    `${source.server}; stamps are the ${source.clock} of execution`.replace('the unknown', 'start or end (unknown)'),
  );
  say(
    'rate',
    `${number(ops / Math.max(source.spanSeconds, 1e-6))} ops/s replayable, ${number(clients.connections)} connections`,
  );
  const depth = (q: number) => quantileOf(pipelines.depths, q);
  say('pipelines', `depth ${depth(0.5)} at P50, ${depth(0.99)} at P99, ${depth(1)} at most`);
  const done = transactions.committed + transactions.empty + transactions.discarded;
  if (done > 0)
    say(
      'transactions',
      `${number(done)}: ${number(transactions.empty)} empty or aborted, ${number(transactions.discarded)} discarded`,
    );
  const called = scripts.filter((script) => script.calls > 0);
  if (called.length > 0) {
    const unknown = called.filter((script) => script.body === null);
    const calls = called.reduce((sum, script) => sum + script.calls, 0);
    say('scripts', `${called.length}, called ${number(calls)} times; body unknown for ${unknown.length}`);
    for (const script of unknown.slice(0, 5))
      say('', `  unknown ${printable(script.sha1)}, ${number(script.calls)} calls`);
  }
  lines.push('', `${'command'.padEnd(18)}${'count'.padStart(10)}${'share'.padStart(9)}`);
  const all = Object.entries(commands);
  for (const [name, { count, share }] of all.slice(0, SHOWN))
    lines.push(`${fit(printable(name), 18)}${number(count).padStart(10)}${percent(share).padStart(9)}`);
  if (all.length > SHOWN) lines.push(`and ${all.length - SHOWN} more`);
  const byRequests = busiestFamilies(model);
  lines.push(
    '',
    `${familyHeading(byRequests).padEnd(34)}${'type'.padEnd(9)}${'keys'.padStart(8)}${'requests'.padStart(10)}${'share'.padStart(9)}${'zipf s'.padStart(8)}`,
  );
  for (const family of byRequests.slice(0, SHOWN)) {
    const name = printable(nameOf(family));
    const zipf = family.zipf === null ? '-' : family.zipf.toFixed(2);
    lines.push(
      `${fit(name, 33)} ${fit(family.type.slice(0, 8), 9)}${number(family.keys).padStart(8)}${number(family.requests).padStart(10)}${percent(family.share).padStart(9)}${zipf.padStart(8)}`,
    );
  }
  if (byRequests.length > SHOWN) lines.push(`and ${byRequests.length - SHOWN} more`);
  lines.push(...datasetAtStart(model), '', ...pictures(model));
  if (fidelity.length > 0) lines.push('', ...scorecard(fidelity));
  for (const { match, by, why, families: changed, ...done } of model.overrides ?? []) {
    const changes = Object.entries(done).map(([name, value]) =>
      typeof value === 'number' ? `${name} ${value}x` : value === true ? name : `${name} ${value}`,
    );
    lines.push(
      `changed: ${printable(match)} (${changed.length === 1 ? '1 family' : `${changed.length} families`}): ${printable(changes.join(', '))}; by ${printable(by)}: ${printable(why)}`,
    );
  }
  const left = Object.entries(model.leftOut);
  if (left.length > 0) lines.push(`never replayed: ${left.map(([name, n]) => `${printable(name)} (${n})`).join(', ')}`);
  lines.push('', ...unknowns(model));
  for (const caveat of caveats) lines.push(`! ${caveat.message} ${caveat.advice}`);
  return lines.join('\n');
}

/** A family's template, behind its database where that is not 0. */
function nameOf({ db, template }: { db: number; template: string }): string {
  return db > 0 ? `[${db}] ${template}` : template;
}

/** The heading over names by `nameOf`: it explains the brackets where there are any. */
function familyHeading(families: { db: number }[]): string {
  return families.some(({ db }) => db > 0) ? 'family, [database] if not 0' : 'family';
}

/** What there was before the first line, by family. */
function datasetAtStart({ families, keysAtStart, sampledAtStart }: Model): string[] {
  const known = families.flatMap(({ db, template, atStart }) => (atStart ? [{ db, template, ...atStart }] : []));
  if (!sampledAtStart || known.length === 0) return [];
  const keys = keysAtStart?.reduce((sum, [, n]) => sum + n, 0) ?? known.reduce((sum, family) => sum + family.keys, 0);
  const all = sampledAtStart.complete ? 'all of them' : `${number(sampledAtStart.keys)} of them`;
  known.sort((a, b) => b.keys - a.keys);
  return [
    '',
    `${number(keys)} keys when the capture began; ${all} were looked at:`,
    `${familyHeading(known).padEnd(34)}${'keys'.padStart(11)}${'expire'.padStart(9)}  ${'mostly'.padEnd(17)}${'length'.padStart(7)}`,
    ...known.slice(0, SHOWN).map((family) => {
      const [most] = family.kinds;
      const expiring = family.kinds.flatMap(({ ttlSeconds }) => ttlSeconds).reduce((sum, [, n]) => sum + n, 0);
      const name = printable(nameOf(family));
      const kind = printable(`${most!.type} ${most!.encoding}`);
      const expire = percent(expiring / Math.max(1, family.keys));
      return `${fit(name, 34)}${number(family.keys).padStart(11)}${expire.padStart(9)}  ${fit(kind, 17)}${number(quantileOf(most!.lengths, 0.5)).padStart(7)}`;
    }),
    ...(known.length > SHOWN ? [`and ${known.length - SHOWN} more families`] : []),
  ];
}

const BARS = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const WIDTH = 60;

/** One character a value, as high as it is among them. */
function bars(values: number[]): string {
  const most = Math.max(...values, 1e-9);
  return values.map((value) => BARS[value <= 0 ? 0 : Math.max(1, Math.round((value / most) * 8))]!).join('');
}

/** Sums of `values` in at most `WIDTH` equal groups. */
function grouped(values: number[]): number[] {
  const per = Math.ceil(values.length / WIDTH);
  return Array.from({ length: Math.ceil(values.length / per) }, (_, i) =>
    values.slice(i * per, (i + 1) * per).reduce((a, b) => a + b, 0),
  );
}

/** Rate, popularity and sizes, each in a line. */
function pictures(model: Model): string[] {
  const lines: string[] = [];
  const [stream] = [...model.clients.streams].sort((a, b) => b.units - a.units);
  const bins = stream?.arrivals.units.slice(
    0,
    Math.max(1, Math.floor(model.source.spanSeconds / stream.arrivals.binSeconds)),
  );
  if (stream && bins && bins.length > 1) {
    const groups = grouped(bins);
    const seconds = stream.arrivals.binSeconds * Math.ceil(bins.length / groups.length);
    lines.push(`rate          ${bars(groups)}  ${seconds} s each`);
  }
  const references = model.families.flatMap((family) => family.references).sort((a, b) => b[0] - a[0]);
  const keys = references.reduce((sum, [, n]) => sum + n, 0);
  const requests = references.reduce((sum, [count, n]) => sum + count * n, 0);
  if (keys >= 10) {
    const share = (part: number) => {
      let left = keys * part;
      let sum = 0;
      for (const [count, n] of references) {
        const taken = Math.min(left, n);
        sum += taken * count;
        left -= taken;
      }
      return sum / requests;
    };
    const once = references.filter(([count]) => count === 1).reduce((sum, [, n]) => sum + n, 0) / keys;
    lines.push(
      `popularity    1 % of the keys take ${percent(share(0.01))} of the accesses, 10 % ${percent(share(0.1))}; ${percent(once)} of the`,
      `              keys are accessed once`,
    );
  }
  const sizes: number[] = [];
  for (const { valueBytes } of model.families) {
    for (const [bytes, n] of valueBytes) {
      const octave = Math.max(0, Math.floor(Math.log2(Math.max(1, bytes))));
      sizes[octave] = (sizes[octave] ?? 0) + n;
    }
  }
  if (sizes.length > 0) {
    const all = Array.from(sizes, (n) => n ?? 0);
    lines.push(`value bytes   ${bars(all)}  1 B to ${number(2 ** all.length)} B, a doubling each`);
  }
  return lines;
}

/** The scorecard, in 80 columns. */
function scorecard(rows: FidelityRow[]): string[] {
  const figure = (value: number | undefined) => (value === undefined ? '-' : value.toFixed(3)).padStart(8);
  const words = { ok: 'ok', missed: 'MISSED', unknown: '-' };
  return [
    `${'how far a synthesized workload is'.padEnd(36)}distance  target  halves  chance   naive`,
    ...rows.map(({ aspect, metric, value, target, noise, chance, naive, outcome }, i) => {
      const name = `${rows[i - 1]?.aspect === aspect ? ''.padEnd(11) : fit(aspect, 11)}${fit(metric, 25)}`;
      return `${name}${[value, target, noise, chance || undefined, naive].map(figure).join('')} ${words[outcome]}`;
    }),
    "* of the busiest families, the worst. ok: within the target, or what the capture's",
    'halves differ by, or chance does. naive: independent draws, as benchmarks do.',
  ];
}

/** How two workloads differ: the families and commands that changed most, then every aspect. */
export function summarizeDifference(a: Model, b: Model, rows: Difference[]): string {
  const rate = (model: Model) => {
    const ops = model.units.reduce((sum, unit) => sum + unit.count * unit.ops.length, 0);
    return ops / Math.max(model.source.spanSeconds, 1e-6);
  };
  const lines = [`rate          ${number(rate(a))} ops/s, then ${number(rate(b))}`];
  const changes = (name: string, sharesOf: (model: Model) => Map<string, number>) => {
    const [x, y] = [sharesOf(a), sharesOf(b)];
    const changed = [...new Set([...x.keys(), ...y.keys()])]
      .map((key) => ({ key, before: x.get(key) ?? 0, after: y.get(key) ?? 0 }))
      .sort((p, q) => Math.abs(q.after - q.before) - Math.abs(p.after - p.before))
      .slice(0, SHOWN)
      .filter(({ before, after }) => Math.abs(after - before) >= 0.0005);
    lines.push('', `${name.padEnd(42)}${'share'.padStart(10)}${'then'.padStart(10)}`);
    for (const { key, before, after } of changed)
      lines.push(`${fit(printable(key), 42)}${percent(before).padStart(10)}${percent(after).padStart(10)}`);
    if (changed.length === 0) lines.push('the same to a tenth of a percent');
  };
  changes(
    familyHeading([...a.families, ...b.families]),
    ({ families }) => new Map(families.map((f) => [nameOf(f), f.share])),
  );
  changes('command', ({ commands }) => new Map(Object.entries(commands).map(([name, { share }]) => [name, share])));
  lines.push('', `${''.padEnd(36)}distance  chance`);
  rows.forEach(({ aspect, metric, value, chance }, i) => {
    const name = `${rows[i - 1]?.aspect === aspect ? ''.padEnd(11) : fit(aspect, 11)}${fit(metric, 25)}`;
    const figure = (x: number | undefined) => (x === undefined ? '-' : x.toFixed(3)).padStart(8);
    lines.push(`${name}${figure(value)}${figure(chance || undefined)}`);
  });
  lines.push('chance: what two samples of one workload differ by once in a hundred. * busiest families, the worst.');
  return lines.join('\n');
}

/** What the lines of a capture do not tell, and what the model therefore assumes. */
function unknowns(model: Model): string[] {
  const lines = [
    'What a capture cannot tell: latency, replies, hits and misses, commands that were',
    model.sampledAtStart
      ? 'rejected or whose WATCH failed. What keys held that it never touched is scaled from a sample.'
      : 'rejected or whose WATCH failed, expiries left, and what keys hold that it never touched.',
  ];
  lines.push(
    model.keysAtStart
      ? 'Its sidecar tells how many keys there were; which of them were there is inferred.'
      : 'Without a sidecar (cutover capture writes one), keys that are read first count as there.',
  );
  if (model.clients.connections === 1) {
    lines.push('All lines share one source: concurrency and pipelines cannot be told apart.');
  }
  return lines;
}
