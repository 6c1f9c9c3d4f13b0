/** Why a server cannot be captured, or should not be, → the error that says so and what can be done instead. */
import { CutoverError } from '../../errors.ts';
import type { Cost } from './advisor.ts';

interface Service {
  name: string;
  host: RegExp;
  /** What its documentation says about MONITOR. */
  note: string;
}

const SERVICES: Service[] = [
  {
    name: 'ElastiCache Serverless',
    host: /\.serverless\.[\w-]+\.cache\.amazonaws\.com(\.cn)?$/,
    note: 'it is not known to offer MONITOR; a node-based cluster may',
  },
  {
    name: 'ElastiCache',
    host: /\.cache\.amazonaws\.com(\.cn)?$/,
    note: 'MONITOR is not on its list of restricted commands, but some report it blocked: the user needs +monitor in its access string',
  },
  {
    name: 'MemoryDB',
    host: /\.memorydb\.[\w-]+\.amazonaws\.com(\.cn)?$/,
    note: 'MONITOR is not on its list of restricted commands, but some report it blocked: the user needs +monitor in its ACL',
  },
  {
    name: 'Redis Cloud',
    host: /\.(redislabs\.com|redis-cloud\.com|redns\.redis-cloud\.com|rlrcp\.com)$/,
    note: 'MONITOR depends on the plan; its proxies show no commands of scripts',
  },
  {
    name: 'Azure Managed Redis',
    host: /\.(redis\.azure\.net|redisenterprise\.cache\.azure\.net)$/,
    note: 'it is Redis Enterprise; MONITOR depends on the tier',
  },
  {
    name: 'Azure Cache for Redis',
    host: /\.redis\.cache\.windows\.net$/,
    note: 'MONITOR may be offered in its console only',
  },
  { name: 'Upstash', host: /\.upstash\.io$/, note: 'MONITOR works over TCP only, not over REST' },
  {
    name: 'Memorystore',
    host: /\.memorystore\.[\w.-]*(goog|google)/,
    note: 'Memorystore for Redis blocks MONITOR, and Memorystore for Valkey all that it does not list',
  },
];

const ALTERNATIVES = [
  'Capture another server of the same workload that you run yourself (staging, or a migration target): MONITOR there.',
  'An append-only file of it, if the service hands one out, holds the writes, though none of the reads.',
];

const percent = (share: number) => `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`;

/** The server answered MONITOR, or the question for it, with `answer`. */
export function monitorRefused(spec: string, host: string, answer: string): CutoverError {
  const service = SERVICES.find((known) => known.host.test(host));
  const of = service ? ` This is ${service.name}: ${service.note}.` : '';
  if (/^NOPERM/.test(answer)) {
    return new CutoverError('cannotRun', 'E_MONITOR_DENIED', `The user may not run MONITOR on ${spec}.${of}`, [
      'Let an administrator grant it: ACL SETUSER NAME +monitor +client|id +client|list +client|kill +client|setname +info +config|get',
      'MONITOR shows what every client sends, whatever key patterns the user is limited to.',
      ...(service ? ALTERNATIVES : []),
    ]);
  }
  return new CutoverError(
    'cannotRun',
    'E_MONITOR_BLOCKED',
    `${spec} does not offer MONITOR: ${answer || 'unknown command'}.${of || ' Some managed services block it (Memorystore for Redis does), and some compatible servers lack it.'}`,
    ALTERNATIVES,
  );
}

export function tooDear(spec: string, cost: Cost, maxShare: number): CutoverError {
  const input = `${(cost.inputBytesPerSecond / 1e6).toFixed(1)} MB/s and ${Math.round(cost.commandsPerSecond).toLocaleString('en')} commands/s`;
  return new CutoverError(
    'cannotRun',
    'E_CAPTURE_COST',
    `MONITOR would take ${percent(cost.share)} of the main thread of ${spec}, more than ${percent(maxShare)}: it receives ${input}, at up to ${cost.nsPerByte} ns a byte.`,
    [
      'Capture when it is quieter; the figure follows the traffic.',
      `To accept the cost for a short burst: --for 5s --max-cost ${Math.ceil(cost.share * 100)}%. Clients feel it as long as the burst lasts, not longer.`,
      'A replica is no way out: it sees the effects of writes, and of the reads only its own.',
      'If the server keeps an append-only file, that holds the writes at no cost.',
    ],
  );
}

export function costUnknown(spec: string): CutoverError {
  return new CutoverError(
    'cannotRun',
    'E_CAPTURE_COST_UNKNOWN',
    `${spec} does not answer INFO, so what MONITOR would cost it cannot be told.`,
    ['Grant the user +info.', 'Or accept any cost, in a short burst: --for 5s --max-cost 100%'],
  );
}

export function unguardable(spec: string, answer: string): CutoverError {
  return new CutoverError(
    'cannotRun',
    'E_CAPTURE_UNGUARDED',
    `On ${spec} nothing could end MONITOR from outside: ${answer}. If this process were stopped (Ctrl-Z, a stalled machine), the server would buffer without end, and evict keys or refuse writes.`,
    [
      'Grant the user +client|id +client|list +client|kill (+client before Redis 7).',
      'To go without that protection: --unguarded, with short bursts.',
    ],
  );
}

export function isReplica(spec: string, primary: string): CutoverError {
  return new CutoverError(
    'cannotRun',
    'E_CAPTURE_REPLICA',
    `${spec} is a replica of ${primary}: it shows effects of the writes that the primary executed, and none of the primary's reads.`,
    ['Capture the primary.', 'To capture what clients read from this replica all the same: --replica-capture'],
  );
}
