/** Text from outside → text that a terminal prints and does not obey. */

/**
 * Control bytes, escape sequences, line separators, bidirectional and other invisible characters, lone surrogates and code
 * points without a glyph become `\xNN` or `\u{NNNN}`.
 */
export const printable = (text: string) =>
  text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/gu, (character) => {
    const code = character.codePointAt(0)!;
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
  });
