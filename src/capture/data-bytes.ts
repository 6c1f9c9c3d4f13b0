/** INFO memory and latencystats → the bytes of keys and values, and what is spent on them. */

/**
 * What servers spend on the latencies of each command that somebody sent, which is much for a small dataset: HDR counts
 * (3072 of 8 bytes, for 1 ns to 1 s in two digits) and their header.
 */
const LATENCY_BYTES = 24_688;
const OTHER_BYTES = [
  'mem_clients_normal',
  'mem_clients_slaves',
  'mem_replication_backlog',
  'mem_aof_buffer',
  'mem_cluster_links',
];

/** NaN where a server does not say. Of a cluster's sums, nearly all commands are known to each of its nodes. */
export function dataBytes(memory: Record<string, string>, latencystats: Record<string, string>, nodes = 1): number {
  const other = OTHER_BYTES.reduce((sum, name) => sum + Number(memory[name] ?? 0), 0);
  const latencies = nodes * LATENCY_BYTES * Object.keys(latencystats).length;
  return Number(memory.used_memory) - Number(memory.used_memory_startup) - other - latencies;
}
