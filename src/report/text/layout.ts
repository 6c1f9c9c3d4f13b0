/** Turns cells and sentences into aligned columns and wrapped lines. */
import { shorten } from '../../compare/wording.ts';

export interface Column {
  title: string;
  align: 'left' | 'right';
}

/** What colours a cell after it was padded, so that escape sequences never count as width. */
export type Paint = (text: string, row: number, column: number) => string;

/** Below this a first column is not shortened any more. */
const LEAST_LABEL = 8;

/**
 * Columns as wide as their widest cell, two spaces apart; the last column is not padded. A table that is wider than
 * `room` stands closer, and then loses the ends of its first column.
 */
export function alignTable(
  columns: Column[],
  rows: string[][],
  paint: Paint = (text) => text,
  room = Number.POSITIVE_INFINITY,
): string[] {
  const widths = columns.map(({ title }, i) => Math.max(title.length, ...rows.map((row) => row[i]!.length)));
  const excess = (gap: number) => widths.reduce((sum, width) => sum + width, gap * (columns.length - 1)) - room;
  const gap = excess(2) > 0 ? 1 : 2;
  if (excess(gap) > 0) widths[0] = Math.max(LEAST_LABEL, widths[0]! - excess(gap));
  const line = (cells: string[], row: number) =>
    cells
      .map((full, i) => {
        const cell = i === 0 ? shorten(full, widths[0]!) : full;
        const padding = ' '.repeat(widths[i]! - cell.length);
        const painted = row < 0 ? cell : paint(cell, row, i);
        return columns[i]!.align === 'right' ? padding + painted : painted + padding;
      })
      .join(' '.repeat(gap))
      .trimEnd();
  return [
    line(
      columns.map(({ title }) => title),
      -1,
    ),
    ...rows.map(line),
  ];
}

/** A percent sign stays with its number. */
const BETWEEN_WORDS = / (?!%)/;

/** Breaks between words to at most `width` columns; a word that is longer is broken itself. Later lines are indented. */
export function wrap(text: string, width: number, indent = ''): string[] {
  const lines: string[] = [];
  let line = '';
  for (let word of text.split(BETWEEN_WORDS)) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = '';
    }
    line = line === '' ? (lines.length > 0 ? indent : '') + word : `${line} ${word}`;
    while (line.length > width) {
      lines.push(line.slice(0, width));
      word = line.slice(width);
      line = indent + word;
    }
  }
  return [...lines, line];
}
