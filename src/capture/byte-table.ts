/** Byte strings → small dense numbers, without an allocation for those already seen. */

const FIRST_SLOTS = 1024;

export class ByteTable {
  private readonly entries: Uint8Array[] = [];
  private readonly hashes: number[] = [];
  /** Open addressing, linear probing; number + 1, or 0 for an empty slot. A power of two, at most half full. */
  private slots = new Int32Array(FIRST_SLOTS);

  get size(): number {
    return this.entries.length;
  }

  /** Number of `bytes[start..end)`, or -1 if it was never added. */
  find(bytes: Uint8Array, start: number, end: number): number {
    const { slots } = this;
    const mask = slots.length - 1;
    for (let slot = hashOf(bytes, start, end) & mask; slots[slot] !== 0; slot = (slot + 1) & mask) {
      const number = slots[slot]! - 1;
      if (equals(this.entries[number]!, bytes, start, end)) return number;
    }
    return -1;
  }

  /** Adds a copy of `bytes[start..end)`, which must not be in the table; returns its number: 0, 1, 2 … */
  add(bytes: Uint8Array, start: number, end: number): number {
    const number = this.entries.push(Uint8Array.prototype.slice.call(bytes, start, end)) - 1;
    this.hashes.push(hashOf(bytes, start, end));
    if (this.entries.length * 2 > this.slots.length) {
      this.slots = new Int32Array(this.slots.length * 2);
      for (let known = 0; known < number; known++) this.place(known);
    }
    this.place(number);
    return number;
  }

  private place(number: number): void {
    const mask = this.slots.length - 1;
    let slot = this.hashes[number]! & mask;
    while (this.slots[slot] !== 0) slot = (slot + 1) & mask;
    this.slots[slot] = number + 1;
  }
}

/** FNV-1a, with the high bits folded in because only the low ones choose a slot. */
export function hashOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5 | 0;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
  return (hash ^ (hash >>> 15)) >>> 0;
}

function equals(known: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (known.length !== end - start) return false;
  for (let i = 0; i < known.length; i++) if (known[i] !== bytes[start + i]) return false;
  return true;
}
