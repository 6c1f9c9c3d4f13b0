/** Works and how to measure one → a table for each input: its captures written, the works measured one by one, the reference below. */
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { INPUTS, writeCapture } from './inputs.ts';
import { printHeader, printRow } from './table.ts';

/** In seconds, the reference's of the same round each. */
interface Measured {
  times: number[];
  references: number[];
  rssBytes: number;
}

export async function printTables(
  works: string[],
  fileBytes: number,
  measure: (work: string, path: string) => Promise<Measured>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'cutover-bench-'));
  try {
    for (const [name, input] of Object.entries(INPUTS)) {
      const path = join(folder, 'capture.log');
      const lines = writeCapture(path, input, fileBytes);
      const { size } = statSync(path);
      const all: number[] = [];
      printHeader(name, size, lines);
      for (const work of works) {
        const measured = await measure(work, path);
        all.push(...measured.references);
        printRow(work, { size, lines, ...measured });
      }
      printRow('wc -l', { size, lines, times: all, references: all });
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}
