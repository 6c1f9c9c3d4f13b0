/** The shipped captures → captures of any length: their lines again and again, a pause later each time. */
import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';

interface Input {
  captures: string[];
  minLineBytes: number;
}

export const INPUTS: Record<string, Input> = {
  'short lines': { captures: ['mixed'], minLineBytes: 0 },
  'long lines': { captures: ['sessions', 'mixed'], minLineBytes: 150 },
};

/** Writes a capture of at least so many bytes; returns the number of its lines. */
export function writeCapture(path: string, { captures, minLineBytes }: Input, bytes: number): number {
  const lines = captures
    .flatMap((name) =>
      gunzipSync(readFileSync(join(import.meta.dirname, `../captures/${name}.monitor.gz`)))
        .toString('latin1')
        .split('\n')
        .filter((line) => /^\d{10}\./.test(line) && line.length > minLineBytes),
    )
    .sort((a, b) => (a.slice(0, 17) < b.slice(0, 17) ? -1 : 1));
  const secondOf = (line: string) => Number(line.slice(0, 10));
  const seconds = secondOf(lines.at(-1)!) - secondOf(lines[0]!) + 1;
  const piece = Buffer.from(`${lines.join('\n')}\n`, 'latin1');
  const times = Math.ceil(bytes / piece.length);
  const file = openSync(path, 'w');
  for (let i = 0; i < times; i++) {
    let at = 0;
    for (const line of lines) {
      piece.write(String(secondOf(line) + i * seconds), at, 'latin1');
      at += line.length + 1;
    }
    writeSync(file, piece);
  }
  // Else the kernel would write it while it is read.
  fsyncSync(file);
  closeSync(file);
  return lines.length * times;
}
