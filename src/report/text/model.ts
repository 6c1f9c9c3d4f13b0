/** A model → the summary that a person reads. */
import type { Caveat } from '../../errors.ts';
import { quantileOf } from '../../model/histogram.ts';
import type { Model } from '../../model/model.ts';
import type { FidelityRow } from '../../plan/fidelity.ts';
import { printable } from '../../printable.ts';

const SHOWN = 12;
const number = (value: number) => Math.round(value).toLocaleString('en-US');
const percent = (share: number) => `${(share * 100).toFixed(1)} %`;
const fit = (text: string, width: number) =>
  text.length > width ? `${text.slice(0, width - 1)}…` : text.padEnd(width);

/** At most 80 columns. */
export function summarizeModel(model: Model, fidelity: FidelityRow[], caveats: Caveat[]): string {
  const { source, clients, commands, families, scripts, transactions, pipelines } = model;
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
  lines.push(
    '',
    `${'family'.padEnd(34)}${'type'.padEnd(9)}${'keys'.padStart(8)}${'requests'.padStart(10)}${'share'.padStart(9)}${'zipf s'.padStart(8)}`,
  );
  const byRequests = [...families].sort((a, b) => b.requests + b.scriptRequests - a.requests - a.scriptRequests);
  for (const family of byRequests.slice(0, SHOWN)) {
    const name = `${family.db > 0 ? `[${family.db}] ` : ''}${printable(family.template)}`;
    const requests = family.requests + family.scriptRequests;
    const zipf = family.zipf === null ? '-' : family.zipf.toFixed(2);
    lines.push(
      `${fit(name, 34)}${fit(family.type.slice(0, 8), 9)}${number(family.keys).padStart(8)}${number(requests).padStart(10)}${percent(family.share).padStart(9)}${zipf.padStart(8)}`,
    );
  }
  if (families.length > SHOWN) lines.push(`and ${families.length - SHOWN} more`);
  lines.push('');
  for (const row of fidelity) {
    const ok = row.value <= Math.max(row.target, row.noise) ? 'ok' : 'MISSED';
    lines.push(
      `fidelity: ${row.aspect}: ${row.metric} ${row.value.toFixed(4)} (target ${row.target}, chance alone ${row.noise.toFixed(4)}) ${ok}`,
    );
  }
  const left = Object.entries(model.leftOut);
  if (left.length > 0) lines.push(`never replayed: ${left.map(([name, n]) => `${printable(name)} (${n})`).join(', ')}`);
  lines.push('A capture cannot show: latency, hits and misses, replies, rejected commands, TTLs left.');
  for (const caveat of caveats) lines.push(`! ${caveat.message} ${caveat.advice}`);
  return lines.join('\n');
}
