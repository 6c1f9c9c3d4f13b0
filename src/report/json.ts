/** Turns a judgement into one JSON document that is safe to print. */
import type { ReportSource } from './source.ts';

export const reportJson = ({ judgement }: ReportSource) => `${stringifySafely(judgement)}\n`;

/**
 * JSON.stringify leaves C1 controls, bidirectional marks, line separators and code points without a glyph as they are, which
 * a terminal obeys or garbles, and `##[`, which GitHub's runner obeys. Escaped they are the same data.
 */
export const stringifySafely = (value: unknown) =>
  JSON.stringify(value, null, 2).replace(/[\x7f-\x9f\p{Cf}\p{Co}\p{Cn}\p{Zl}\p{Zp}]|#(?=#\[)/gu, (character) =>
    Array.from({ length: character.length }, (_, i) => character.charCodeAt(i))
      .map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`)
      .join(''),
  );
