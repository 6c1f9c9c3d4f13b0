/** INFO memory → the figures that a rehearsal keeps. */
import type { MemorySample } from './rehearsal.ts';

/** Bytes and ratios as the server says them; 0 where it does not (servers built without jemalloc lack allocator figures). */
export function memorySample(info: Record<string, string>, logicalBytes: number): MemorySample {
  const number = (name: string) => Number(info[name] ?? 0) || 0;
  return {
    rssBytes: number('used_memory_rss'),
    usedBytes: number('used_memory'),
    allocatedBytes: number('allocator_allocated'),
    activeBytes: number('allocator_active'),
    residentBytes: number('allocator_resident'),
    memFragmentationRatio: number('mem_fragmentation_ratio'),
    allocatorFragRatio: number('allocator_frag_ratio'),
    logicalBytes,
  };
}
