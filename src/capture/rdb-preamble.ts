/**
 * The snapshot that an append-only file may begin with → where it ends. Its length is written nowhere; but it ends in 0xff and
 * the CRC-64 of all before, behind which a command begins.
 */
const EOF_OPCODE = 0xff;
const CHECKSUM_BYTES = 8;
/** So much behind a possible end is looked at. */
const LOOK_BYTES = 16;
const COMMAND = /^(\*\d+\r\n\$|#TS:\d)/;

/** CRC-64 as the servers use it: polynomial 0xad93d23594c935a9, reflected, from 0; low and high halves. */
const LOW = new Uint32Array(256);
const HIGH = new Uint32Array(256);
for (let byte = 0; byte < 256; byte++) {
  let crc = BigInt(byte);
  for (let bit = 0; bit < 8; bit++) crc = crc & 1n ? (crc >> 1n) ^ 0x95ac9329ac4bc9b5n : crc >> 1n;
  LOW[byte] = Number(crc & 0xffffffffn);
  HIGH[byte] = Number(crc >> 32n);
}

export class RdbPreamble {
  private low = 0;
  private high = 0;

  /**
   * Where the snapshot ends, knowing that `bytes[from..to)` follows what was given before. Negative: it goes on behind the place of
   * that size, which is where to begin with more bytes.
   */
  findEnd(bytes: Buffer, from: number, to: number, last: boolean): number {
    let { low, high } = this;
    const stop = last ? to : to - 1 - CHECKSUM_BYTES - LOOK_BYTES;
    let p = from;
    for (; p < stop; p++) {
      const byte = bytes[p]!;
      const index = (low ^ byte) & 0xff;
      low = ((low >>> 8) | (high << 24)) ^ LOW[index]!;
      high = (high >>> 8) ^ HIGH[index]!;
      if (byte === EOF_OPCODE && this.endsAt(bytes, p + 1, to, low >>> 0, high >>> 0)) return p + 1 + CHECKSUM_BYTES;
    }
    this.low = low;
    this.high = high;
    return -p;
  }

  private endsAt(bytes: Buffer, p: number, to: number, low: number, high: number): boolean {
    if (p + CHECKSUM_BYTES > to) return false;
    const behind = p + CHECKSUM_BYTES;
    const isSum = bytes.readUInt32LE(p) === low && bytes.readUInt32LE(p + 4) === high;
    // Servers that were told not to compute it write zeros.
    const isAbsent = bytes.readUInt32LE(p) === 0 && bytes.readUInt32LE(p + 4) === 0;
    const command = COMMAND.test(bytes.toString('latin1', behind, Math.min(to, behind + LOOK_BYTES)));
    return (isSum && (command || behind === to)) || (isAbsent && command);
  }
}
