/** Text from outside → text that a terminal, or a runner of GitHub's, prints and does not obey. */

/**
 * Control bytes, escape sequences, line separators, bidirectional and other invisible characters, lone surrogates and code
 * points without a glyph become `\xNN` or `\u{NNNN}`; so does a `#` of `##[`, which the runner obeys anywhere in a line.
 */
export const printable = (text: string) =>
  text
    .replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/gu, (character) => {
      const code = character.codePointAt(0)!;
      return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
    })
    .replaceAll('##[', '#\\x23[');

/** The runner undoes these; anything else would end the command or begin another. */
const escapeData = (text: string) => printable(text).replaceAll('%', '%25');
const escapeProperty = (text: string | number) =>
  escapeData(String(text)).replaceAll(':', '%3A').replaceAll(',', '%2C');

/** A workflow command that GitHub shows as an annotation, with its newline. */
export function annotation(
  kind: 'error' | 'warning' | 'notice',
  properties: { title: string; file?: string; line?: number; col?: number },
  message: string,
): string {
  const list = Object.entries(properties).map(([name, value]) => `${name}=${escapeProperty(value)}`);
  return `::${kind} ${list.join(',')}::${escapeData(message)}\n`;
}
