/** Text of scripts and captures → text that a terminal prints and does not obey. */

/** Bytes as characters (latin1) → the UTF-8 text that they are, as far as they are. */
export const decode = (bytes: string) => Buffer.from(bytes, 'latin1').toString('utf8');

/** Controls, marks that turn text around, and separators of lines become `?`; tabs one space. */
export const printable = (text: string) => text.replaceAll('\t', ' ').replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '?');
