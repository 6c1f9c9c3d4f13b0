/** INFO memory → the figures that a rehearsal keeps. */
import type { MemorySample } from './rehearsal.ts';

/** Bytes and ratios as the server says them; 0 where it does not (servers built without jemalloc lack allocator figures). */
export function memorySample(info: Record<string, string>, logicalBytes: number): MemorySample {
  const number = (name: string) => Number(info[name] ?? 0) || 0;
  const sum = (...names: string[]) => names.reduce((total, name) => total + number(name), 0);
  return {
    rssBytes: number('used_memory_rss'),
    usedBytes: number('used_memory'),
    allocatedBytes: number('allocator_allocated'),
    activeBytes: number('allocator_active'),
    residentBytes: number('allocator_resident'),
    memFragmentationRatio: number('mem_fragmentation_ratio'),
    allocatorFragRatio: number('allocator_frag_ratio'),
    logicalBytes,
    datasetBytes: number('used_memory_dataset'),
    overheadBytes: number('used_memory_overhead'),
    // Redis 7 and Valkey: virtual machines and caches; before, Lua alone.
    scriptBytes: 'used_memory_vm_total' in info ? sum('used_memory_vm_total') : sum('used_memory_lua'),
    clientBytes: number('mem_clients_normal'),
    replicationBytes: sum('mem_replication_backlog', 'mem_clients_slaves'),
  };
}

/** `INFO keyspace` → keys of all databases. */
export const keyCount = (info: Record<string, string>): number =>
  Object.values(info).reduce((total, text) => total + Number(/^keys=(\d+)/.exec(text)?.[1] ?? 0), 0);
