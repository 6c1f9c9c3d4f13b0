/** A server's raw log → its last lines, safe to print. */
import { stripVTControlCharacters } from 'node:util';

/** The last `count` lines that are not blank, without terminal escapes and control bytes. */
export function tailLines(log: string, count: number): string[] {
  const lines = stripVTControlCharacters(log)
    .split('\n')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is removed
    .map((line) => line.replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, '').trimEnd())
    .filter((line) => line !== '');
  return count > 0 ? lines.slice(-count) : [];
}
