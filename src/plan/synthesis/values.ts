/** Invents argument texts: payloads of a given size, and elements that are the same whenever their number is. */
import { mix } from '../random.ts';

const POOL_BYTES = 1 << 16;
const ALPHABET = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/';

/** Printable noise; payloads are windows of it. */
const POOL = Array.from({ length: POOL_BYTES }, (_, i) => ALPHABET[mix(i, 0xbeef) % ALPHABET.length]).join('');

/** `size` characters that depend on `identity` only. */
export function payload(size: number, identity: number): string {
  const start = mix(identity) % POOL_BYTES;
  if (start + size <= POOL_BYTES) return POOL.slice(start, start + size);
  let text = POOL.slice(start);
  while (text.length + POOL_BYTES < size) text += POOL;
  return text + POOL.slice(0, size - text.length);
}

/** Element number `index` of a collection's universe: distinct elements have distinct texts, sizes as captured. */
export function element(size: number, index: number): string {
  const name = index.toString(36);
  return name.length >= size ? name : `${name}.${payload(size - name.length - 1, index)}`.slice(0, size);
}
