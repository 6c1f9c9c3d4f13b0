/** Turns cells and sentences into aligned columns and wrapped lines. */

export interface Column {
  title: string;
  align: 'left' | 'right';
}

/** What colours a cell after it was padded, so that escape sequences never count as width. */
export type Paint = (text: string, row: number, column: number) => string;

/** Columns as wide as their widest cell, two spaces apart; the last column is not padded. */
export function alignTable(columns: Column[], rows: string[][], paint: Paint = (text) => text): string[] {
  const widths = columns.map(({ title }, i) => Math.max(title.length, ...rows.map((row) => row[i]!.length)));
  const line = (cells: string[], row: number) =>
    cells
      .map((cell, i) => {
        const room = ' '.repeat(widths[i]! - cell.length);
        const painted = row < 0 ? cell : paint(cell, row, i);
        return columns[i]!.align === 'right' ? room + painted : painted + room;
      })
      .join('  ')
      .trimEnd();
  return [
    line(
      columns.map(({ title }) => title),
      -1,
    ),
    ...rows.map(line),
  ];
}

/** Breaks between words to at most `width` columns; a word that is longer is broken itself. Later lines are indented. */
export function wrap(text: string, width: number, indent = ''): string[] {
  const lines: string[] = [];
  let line = '';
  for (let word of text.split(' ')) {
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
