/** Turns rows into an HTML table that a narrow page scrolls instead of breaking. */
import { html, type Markup } from './markup.ts';

export interface Column {
  title: string;
  /** Numbers stand to the right. */
  align?: 'right';
}

export type Cell = Markup | string;

/** The first cell of a row is its heading. `label` names the table for readers that hear the page. */
export const table = (label: string, columns: Column[], rows: Cell[][]): Markup =>
  html`<div class="scroll" role="region" tabindex="0" aria-label="${label}"><table>
<thead><tr>${columns.map(({ title, align }) => html`<th scope="col"${align ? html` class="number"` : ''}>${title}</th>`)}</tr></thead>
<tbody>${rows.map((cells) => row(columns, cells))}</tbody>
</table></div>`;

const row = (columns: Column[], cells: Cell[]) => html`<tr>${cells.map((cell, i) => {
  const kind = columns[i]!.align ? html` class="number"` : '';
  return i === 0 ? html`<th scope="row"${kind}>${cell}</th>` : html`<td${kind}>${cell}</td>`;
})}</tr>
`;

export const left = (title: string): Column => ({ title });
export const right = (title: string): Column => ({ title, align: 'right' });
