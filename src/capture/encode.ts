/** Bytes ⇄ the text that MONITOR prints for an argument (`sdscatrepr` of Redis and Valkey), quotes apart. */

const NAMED: Record<number, string> = { 34: '\\"', 92: '\\\\', 10: '\\n', 13: '\\r', 9: '\\t', 7: '\\a', 8: '\\b' };
const TEXT = Array.from(
  { length: 256 },
  (_, byte) =>
    NAMED[byte] ??
    (byte >= 0x20 && byte <= 0x7e ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`),
);

/** `a"b` → `a\"b`; any bytes → printable ASCII. */
export function encodeArgument(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += TEXT[byte];
  return text;
}

const UNNAMED = new Uint8Array(128);
for (const [byte, text] of Object.entries(NAMED)) UNNAMED[text.charCodeAt(1)] = Number(byte);
// Kvrocks prints these; other servers print them in hexadecimal.
UNNAMED[0x76] = 0x0b;
UNNAMED[0x66] = 0x0c;

/** Value of a lower-case hexadecimal digit, -1 for any other byte. */
export const hexValue = (byte: number) =>
  byte >= 0x30 && byte <= 0x39 ? byte - 0x30 : byte >= 0x61 && byte <= 0x66 ? byte - 0x57 : -1;

/** Byte that stands behind a backslash → the byte it means; 0 where it is no named escape. */
const namedEscape = (byte: number) => (byte < 128 ? UNNAMED[byte]! : 0);

/** What the byte behind a backslash makes of it. Those of quotes and backslashes are the ones that some servers leave out. */
export const EscapeClass = { none: 0, named: 1, ambiguous: 2, hex: 4 } as const;

export function escapeClass(byte: number): number {
  if (byte === 0x78) return EscapeClass.hex;
  if (byte === 0x22 || byte === 0x5c) return EscapeClass.ambiguous;
  return [0x6e, 0x72, 0x74, 0x61, 0x62].includes(byte) ? EscapeClass.named : EscapeClass.none;
}

/** The bytes that `text[start..end)` means; its escapes must have been checked. */
export function decodeArgument(text: Uint8Array, start: number, end: number): Uint8Array {
  const bytes = new Uint8Array(end - start);
  let length = 0;
  for (let i = start; i < end; i++) {
    let byte = text[i]!;
    if (byte === 0x5c) {
      byte = text[++i]!;
      if (byte === 0x78) {
        byte = hexValue(text[i + 1]!) * 16 + hexValue(text[i + 2]!);
        i += 2;
      } else byte = namedEscape(byte);
    }
    bytes[length++] = byte;
  }
  return bytes.subarray(0, length);
}

/**
 * The same for Valkey 8.1.0 and 8.1.1, which print `"` and `\` as they are: only the other escapes are undone, and a
 * backslash that begins none of them stands for itself. Ambiguous by nature: text that looks like an escape is taken for one.
 */
export function decodeUnquoted(text: Uint8Array, start: number, end: number): Uint8Array {
  const bytes = new Uint8Array(end - start);
  let length = 0;
  for (let i = start; i < end; i++) {
    const byte = text[i]!;
    const next = i + 1 < end ? text[i + 1]! : 0;
    if (byte !== 0x5c) bytes[length++] = byte;
    else if (next === 0x78 && i + 3 < end && hexValue(text[i + 2]!) >= 0 && hexValue(text[i + 3]!) >= 0) {
      bytes[length++] = hexValue(text[i + 2]!) * 16 + hexValue(text[i + 3]!);
      i += 3;
    } else if (escapeClass(next) === EscapeClass.named) {
      bytes[length++] = namedEscape(next);
      i++;
    } else bytes[length++] = byte;
  }
  return bytes.subarray(0, length);
}
