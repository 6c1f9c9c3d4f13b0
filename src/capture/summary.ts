/** What was found in captures → what to say of them: totals, the server in words, caveats, and errors for what cannot be used. */
import { type Caveat, CutoverError } from '../errors.ts';
import type { Reject } from './decoder.ts';
import { addEvidence, type Clock, clockOf, type Evidence, isReplica, serverOf } from './dialect.ts';
import { MIN_STEP_US } from './ops.ts';
import { MAX_SOURCES } from './scan.ts';

/** More rejects than this share of the lines: the file is damaged, or not what it seems. */
const MAX_REJECTED = 0.01;
const DEGRADED_REJECTED = 0.0001;

/** `redis-cli -D X`: what stands between OK and the first record, which also stands behind it. */
const DELIMITED = /^OK([^\n]{1,16}?)\d{9,11}\.\d{6} \[/;

export interface CaptureOptions {
  /** Accept the capture of a replica, whose writes are effects of the primary's commands. */
  replica?: boolean;
  /** The server is known to leave quotes as they are (Valkey 8.1.0 and 8.1.1). */
  unescaped?: boolean;
}

/** What can be said of a capture, or of a stretch of one; plain data, to be sent between threads. */
export interface CaptureSummary {
  /** What it was read from: MONITOR, or an append-only file, which holds writes only. */
  input: 'monitor' | 'aof';
  lines: number;
  parsed: number;
  rejected: Record<string, Reject>;
  /** Unix time in µs of the first and last op in the file. */
  firstUs: number;
  lastUs: number;
  clock: Clock;
  server: string;
  /** Different addresses of clients; of several stretches the most that one of them had. */
  sources: number;
  /** Commands of clients, and those of them that came through a Unix socket. */
  commands: number;
  unixCommands: number;
  scriptChildren: number;
  moduleChildren: number;
  orphans: number;
  /** How often the clock went back by more than a second, and the most that it did. */
  stepsBack: number;
  largestStepUs: number;
  tornLastLine: boolean;
  /** Lines that Valkey 8.1.0 or 8.1.1 printed ambiguously: sizes and values are approximate in the whole file. */
  approximateLines: number;
  bytes: number;
  evidence: Evidence;
  /** What only the reader of the file could see; part of the caveats. */
  noted: Caveat[];
  caveats: Caveat[];
  /** The first bytes, as characters, to name what is no capture. */
  head: string;
}

/** What the lines themselves say; the rest follows from it. */
export type Findings = Omit<CaptureSummary, 'clock' | 'server' | 'caveats'>;

export function summarize(findings: Findings): CaptureSummary {
  const { evidence, noted, approximateLines } = findings;
  return {
    ...findings,
    clock: clockOf(evidence),
    server: serverOf(evidence, approximateLines > 0),
    caveats: [...noted, ...caveatsOf(findings)],
  };
}

/**
 * The summary of a capture from those of its stretches, in their order. Throws CutoverError (usage) for what is no
 * capture, is damaged, or came from a replica.
 */
export function joinSummaries(name: string, stretches: CaptureSummary[], options: CaptureOptions = {}): CaptureSummary {
  const joined = stretches.map((stretch): Findings => stretch).reduce(join);
  const summary = summarize(joined);
  checkSummary(name, summary, options);
  return summary;
}

/** The summary of captures that were taken at the same time, on different nodes. */
export function combineSummaries(captures: { name: string; summary: CaptureSummary }[]): CaptureSummary {
  const summaries = captures.map(({ summary }) => summary);
  const servers = [...new Set(summaries.map(({ server }) => server))];
  const clocks = [...new Set(summaries.map(({ clock }) => clock))];
  const all = summaries.map((summary): Findings => summary).reduce(join);
  return {
    ...all,
    firstUs: Math.min(...summaries.map(({ firstUs }) => firstUs)),
    lastUs: Math.max(...summaries.map(({ lastUs }) => lastUs)),
    sources: summaries.reduce((sum, { sources }) => sum + sources, 0),
    stepsBack: summaries.reduce((sum, { stepsBack }) => sum + stepsBack, 0),
    clock: clocks.length === 1 ? clocks[0]! : 'unknown',
    server: servers.join(', '),
    caveats: captures.flatMap(({ name, summary }) =>
      summary.caveats.map((caveat) => ({ ...caveat, message: `${name}: ${caveat.message}` })),
    ),
  };
}

/** One stretch, and the one behind it. */
function join(a: Findings, b: Findings): Findings {
  const step = a.parsed > 0 && b.parsed > 0 ? a.lastUs - b.firstUs : 0;
  const back = step > MIN_STEP_US;
  return {
    input: a.input,
    lines: a.lines + b.lines,
    parsed: a.parsed + b.parsed,
    rejected: joinRejects(a, b),
    firstUs: a.parsed > 0 ? a.firstUs : b.firstUs,
    lastUs: b.parsed > 0 ? b.lastUs : a.lastUs,
    sources: Math.max(a.sources, b.sources),
    commands: a.commands + b.commands,
    unixCommands: a.unixCommands + b.unixCommands,
    scriptChildren: a.scriptChildren + b.scriptChildren,
    moduleChildren: a.moduleChildren + b.moduleChildren,
    orphans: a.orphans + b.orphans,
    stepsBack: a.stepsBack + b.stepsBack + (back ? 1 : 0),
    largestStepUs: Math.max(a.largestStepUs, b.largestStepUs, back ? step : 0),
    tornLastLine: b.tornLastLine,
    approximateLines: a.approximateLines + b.approximateLines,
    bytes: a.bytes + b.bytes,
    evidence: addEvidence(a.evidence, b.evidence),
    noted: [...a.noted, ...b.noted],
    head: a.head,
  };
}

/** Lines and offsets of the second count from its beginning. */
function joinRejects(a: Findings, b: Findings): Record<string, Reject> {
  const joined = { ...a.rejected };
  for (const [reason, reject] of Object.entries(b.rejected)) {
    const known = joined[reason];
    joined[reason] = known
      ? { ...known, count: known.count + reject.count }
      : { ...reject, firstLine: reject.firstLine + a.lines, firstOffset: reject.firstOffset + a.bytes };
  }
  return joined;
}

const rejectedIn = ({ rejected }: Findings) => Object.values(rejected).reduce((sum, { count }) => sum + count, 0);

const listRejects = ({ rejected }: Findings) =>
  Object.entries(rejected)
    .map(([reason, { count, firstLine }]) => `${reason} ${count} (first in line ${firstLine})`)
    .join(', ');

/** Throws CutoverError (usage) for what is no capture, is damaged, or came from a replica. */
export function checkSummary(name: string, summary: CaptureSummary, options: CaptureOptions): void {
  const { evidence } = summary;
  if (summary.bytes === 0) {
    throw new CutoverError(
      'usage',
      'E_CAPTURE_EMPTY',
      `${name} is empty.`,
      'Record again while clients are at work: redis-cli MONITOR > capture.log',
    );
  }
  if (summary.parsed === 0) throw notACapture(name, summary);
  const rejected = rejectedIn(summary);
  if (rejected > MAX_REJECTED * summary.lines) {
    throw new CutoverError(
      'usage',
      'E_CAPTURE_REJECTED',
      `${rejected} of ${summary.lines} lines of ${name} are no MONITOR output: ${listRejects(summary)}.`,
      'Look at the first of these lines (sed -n LINEp). Was the file edited, or were several outputs written into it?',
    );
  }
  if (summary.input === 'monitor' && isReplica(evidence) && !options.replica) {
    throw new CutoverError(
      'usage',
      'E_CAPTURE_REPLICA',
      `${name} was captured on a replica: all its writes come from one address (${evidence.writer!.source}), as effects of commands that the primary executed.`,
      [
        "It holds none of the primary's reads and not the commands that clients sent. Capture on the primary, in short bursts.",
        'To model the replica itself all the same: --replica-capture',
      ],
    );
  }
}

function notACapture(name: string, summary: CaptureSummary): CutoverError {
  const { head } = summary;
  if (/^(REDIS|VALKEY)\d/.test(head)) {
    return new CutoverError(
      'usage',
      'E_CAPTURE_FORMAT',
      `${name} is an RDB snapshot: it holds no commands, or their beginning cannot be found behind it.`,
      'Record one with: redis-cli MONITOR > capture.log',
    );
  }
  if (rejectedIn(summary) === 0 && !summary.tornLastLine) {
    return new CutoverError(
      'usage',
      'E_CAPTURE_EMPTY',
      `${name} holds no command: MONITOR was started, but nothing happened.`,
      'Record while clients are at work.',
    );
  }
  const [refusal, kind] = /^(?:\(error\) |-)?((?:NO)?([A-Z]+) [^\r\n]*)/m.exec(head)?.slice(1) ?? [];
  if (refusal !== undefined && ['AUTH', 'PERM', 'WRONGPASS'].includes(kind!)) {
    return new CutoverError(
      'usage',
      'E_CAPTURE_NOAUTH',
      `${name} holds the server's refusal, not a capture: ${refusal}`,
      'Give redis-cli a user that may MONITOR: redis-cli --user NAME --askpass MONITOR > capture.log',
    );
  }
  if (refusal !== undefined && kind === 'ERR') {
    return new CutoverError(
      'usage',
      'E_CAPTURE_REFUSED',
      `${name} holds the server's refusal, not a capture: ${refusal}`,
      'Some managed services and compatible servers do not offer MONITOR: capture on one that does.',
    );
  }
  const delimiter = DELIMITED.exec(head)?.[1];
  if (delimiter !== undefined) {
    return new CutoverError(
      'usage',
      'E_CAPTURE_DELIMITER',
      `${name} was recorded with redis-cli -D: its lines end in ${JSON.stringify(delimiter)} instead of a line feed.`,
      'Such a text may also stand inside a value: record again without -D.',
    );
  }
  return new CutoverError(
    'usage',
    'E_CAPTURE_FORMAT',
    `${name} is not a MONITOR capture: no line of it is MONITOR output.`,
    'Record one with: redis-cli MONITOR > capture.log',
  );
}

/** What is wrong or missing, and what follows. */
function caveatsOf(findings: Findings): Caveat[] {
  const { evidence, lines } = findings;
  const caveats: Caveat[] = [];
  const note = (id: string, message: string, advice: string, numbers?: Record<string, number>) =>
    caveats.push({ id, message, advice, ...(numbers ? { numbers } : {}) });

  const rejected = rejectedIn(findings);
  if (rejected > DEGRADED_REJECTED * lines) {
    note(
      'capture-rejects',
      `${rejected} of ${lines} lines are no MONITOR output and were left out: ${listRejects(findings)}.`,
      'Look at the first of these lines: was the file edited, or were several outputs written into it?',
      { rejected, lines },
    );
  }
  if (findings.approximateLines > 0) {
    note(
      'capture-unescaped',
      `The server did not escape quotes (Valkey 8.1.0 and 8.1.1 do not): ${findings.approximateLines} lines had to be guessed, sizes are approximate.`,
      'Capture on another version if you can; JSON values are affected most.',
      { lines: findings.approximateLines },
    );
  }
  if (findings.orphans > 0) {
    note(
      'script-orphans',
      `${findings.orphans} commands were executed by scripts whose call is not in the capture (Redis 7.0.0 to 7.0.5 do not print FCALL).`,
      'They are not replayed. Capture on 7.0.6 or later.',
      { orphans: findings.orphans },
    );
  }
  if (evidence.containers.length > 1) {
    note(
      'capture-nodes',
      `Lines of ${evidence.containers.length} containers stand in one file (${evidence.containers.join(', ')}): addresses of clients may mean different ones.`,
      'Capture each node into a file of its own: cutover model node1.log node2.log',
      { nodes: evidence.containers.length },
    );
  }
  if (findings.stepsBack > 0) {
    const seconds = findings.largestStepUs / 1e6;
    note(
      'capture-clock-back',
      `The time goes back ${findings.stepsBack === 1 ? 'once' : `${findings.stepsBack} times`}, by up to ${seconds.toFixed(0)} s: several recordings stand in one file in the wrong order, or side by side from several nodes, or the clock was set back.`,
      'Rates and pauses are wrong there. Give each recording of a node as a file of its own: cutover model node1.log node2.log',
      { steps: findings.stepsBack, seconds },
    );
  } else if (evidence.starts > 1) {
    note(
      'capture-recordings',
      `${evidence.starts} recordings stand in one file: the time between them counts as silence.`,
      'Rates are too low by that much. Model one recording, or set the rate: --rate',
      { recordings: evidence.starts },
    );
  }
  if (evidence.closed) {
    note(
      'capture-closed',
      'The server or the network closed the connection during the recording: what came after is missing.',
      "A reader that is too slow is cut off by the server's output buffer limit. Record in short bursts: cutover capture URL",
    );
  }
  if (evidence.proxied > 0) {
    note(
      'capture-proxy',
      'A Redis Enterprise proxy printed these lines: they are what went through this proxy, slightly out of order, without what scripts did.',
      'Capture on every proxy of the database. Pipelines and transactions are approximate.',
      { lines: evidence.proxied },
    );
  }
  if (evidence.longFractions > 0 || evidence.replicationSource) {
    note(
      'capture-threads',
      "Dragonfly's threads print without a common order, and EXEC before its commands.",
      'Pipelines and transactions are approximate.',
    );
  }
  if (evidence.namespaces > 0) {
    note(
      'capture-namespaces',
      'Kvrocks prints namespaces instead of databases: they became databases 0, 1, … in order of appearance.',
      'A namespace with many keys needs a server with as many databases.',
      { lines: evidence.namespaces },
    );
  }
  if (evidence.oldHeaders > 0) {
    note(
      'capture-no-clients',
      'The server does not print which client sent a line (Redis 2.4 and earlier): all lines count as one client.',
      'Connections, pipelines and transactions are unknown.',
      { lines: evidence.oldHeaders },
    );
  } else if (findings.commands > 0 && findings.unixCommands === findings.commands) {
    note(
      'capture-unix',
      'All clients came through a Unix socket, which has one name for all of them: they count as one client.',
      'Connections, pipelines and concurrency are unknown.',
      { lines: findings.unixCommands },
    );
  }
  if (findings.sources === MAX_SOURCES) {
    note(
      'capture-many-clients',
      `More than ${MAX_SOURCES} different addresses: those beyond share the numbers of others.`,
      'Model a shorter part of the capture if connections matter.',
      { sources: MAX_SOURCES },
    );
  }
  return caveats;
}
