/** Turns text of any origin and fragments of our own into HTML in which the text can only be text. */
import { shorten } from '../../compare/wording.ts';
import { printable } from '../../printable.ts';

/** HTML that is ours, or that `html` made safe. */
export interface Markup {
  readonly markup: string;
}

type Content = Markup | string | number | false | undefined | readonly Content[];

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** Controls, escape sequences and what reverses or hides text are shown, not obeyed; line feeds stay. */
const escapeText = (text: string) =>
  text
    .split('\n')
    .map((line) => printable(line).replace(/[&<>"']/g, (character) => ENTITIES[character]!))
    .join('\n');

function render(content: Content): string {
  if (typeof content === 'string') return escapeText(content);
  if (typeof content === 'number') return String(content);
  if (!content) return '';
  return 'markup' in content ? content.markup : content.map(render).join('');
}

/** A template whose values are escaped, in text and in quoted attributes; markup, and lists of it, stay as they are. */
export const html = (parts: TemplateStringsArray, ...values: Content[]): Markup => ({
  markup: parts.reduce((text, part, i) => text + render(values[i - 1]) + part),
});

/** Characters of a name that a page shows; a key can be of any length. */
const NAME_LENGTH = 120;

/** A name from the capture or from a server. */
export const name = (text: string) => html`<code>${shorten(printable(text), NAME_LENGTH)}</code>`;

/** The part of a page's address that leads to something named from outside. */
export const anchor = (kind: string, text: string) => `${kind}-${encodeURIComponent(text.toWellFormed())}`;
