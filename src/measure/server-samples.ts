/** INFO → one line of the series that a rehearsal keeps of each server, what it held and did second by second; and back. */
import { z } from 'zod';
import { keyCount, memorySample } from './server-memory.ts';

/** Counters and levels under the names that INFO has for them; what a server does not say is left out. */
const FIELDS = [
  ...['connected_clients', 'blocked_clients', 'total_commands_processed', 'total_net_input_bytes'],
  ...['total_net_output_bytes', 'keyspace_hits', 'keyspace_misses', 'expired_keys', 'evicted_keys'],
  ...['used_cpu_sys', 'used_cpu_user', 'used_cpu_user_main_thread', 'used_cpu_sys_main_thread'],
  ...['eventloop_duration_sum', 'eventloop_duration_cmd_sum', 'lazyfree_pending_objects', 'active_defrag_running'],
  ...['mem_overhead_db_hashtable_rehashing', 'rdb_bgsave_in_progress', 'current_cow_peak', 'total_error_replies'],
];

/** One line of NDJSON, with its newline; `atMs` is Unix time. */
export function serverSampleLine(info: Record<string, string>, atMs: number): string {
  const { logicalBytes: _, ...memory } = memorySample(info, 0);
  const figures = FIELDS.flatMap((name) => {
    const value = Number(info[name]);
    return name in info && Number.isFinite(value) ? [[name, value] as const] : [];
  });
  return `${JSON.stringify({ atMs, keys: keyCount(info), ...memory, ...Object.fromEntries(figures) })}\n`;
}

const seconds = z.number().min(0).exactOptional();
const SampleSchema = z.object({
  ...{ atMs: z.number(), rssBytes: z.number().min(0), used_cpu_user: seconds, used_cpu_sys: seconds },
});

/** What reports show of a line. */
export type ServerSample = z.output<typeof SampleSchema>;

/** Reads lines that `serverSampleLine` wrote. Throws on anything else. */
export const readServerSamples = (text: string): ServerSample[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => SampleSchema.parse(JSON.parse(line)));
