/** Times of a work and of the reference → a line of a table. */

const COLUMNS = ['MB/s', 'ns/line', '× wc -l', '(best)', 'RSS MiB'];

export function printHeader(name: string, size: number, lines: number): void {
  console.log(`\n${name}: ${(size / lines).toFixed(0)} bytes on average, ${(size / 1e6).toFixed(0)} MB`);
  console.log(`${''.padEnd(32)}${COLUMNS.map((title) => title.padStart(10)).join('')}`);
}

interface Row {
  size: number;
  lines: number;
  /** In seconds; the reference's, of the same round each. */
  times: number[];
  references: number[];
  rssBytes?: number;
}

export function printRow(work: string, { size, lines, times, references, rssBytes }: Row): void {
  const time = median(times);
  const columns = [
    (size / 1e6 / time).toFixed(0),
    ((time * 1e9) / lines).toFixed(0),
    median(times.map((one, round) => one / references[round]!)).toFixed(1),
    (Math.min(...times) / Math.min(...references)).toFixed(1),
    rssBytes === undefined ? '' : (rssBytes / 2 ** 20).toFixed(0),
  ];
  console.log(`${work.padEnd(32)}${columns.map((column) => column.padStart(10)).join('')}`);
}

function median(numbers: number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1]!;
}
