/** redis.conf → its directives. */
import { type Place, placesIn } from './unit.ts';

export interface Directive {
  /** Lower case. */
  name: string;
  args: string[];
  /** Byte of the name in the file. */
  offset: number;
}

export interface Configuration {
  /** One character per byte. */
  text: string;
  directives: Directive[];
  place(offset: number): Place;
}

/** One directive a line; `#` begins a comment. Quotes as the servers read them, escapes left as they are. */
export function readConfig(file: string, text: string): Configuration {
  const directives = [...text.matchAll(/^[ \t]*([a-z][\w-]*)((?:[ \t]+[^\r\n]*)?)\r?$/gim)].map((match) => ({
    name: match[1]!.toLowerCase(),
    args: [...match[2]!.matchAll(/"((?:[^"\\]|\\.)*)"|'([^']*)'|(\S+)/g)].map((word) => word[1] ?? word[2] ?? word[3]!),
    offset: match.index + match[0].indexOf(match[1]!),
  }));
  return { text, directives, place: placesIn(file, text) };
}
