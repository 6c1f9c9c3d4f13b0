/** Families and commands → the labels that ops are recorded under, each once. */
import type { Script } from '../model/model.ts';
import type { Label } from './plan.ts';

/** An op's label is 16 bits, and a capture may name any number of scripts: the rest of them share `(other)`. */
const MAX_LABELS = 1 << 14;

/** Family of ops without a key, of script calls, and of keys that fit no template. */
export const NO_FAMILY = '(none)';
export const SCRIPT_FAMILY = '(script)';
export const OTHER_FAMILY = '(other)';

export class Labels {
  readonly list: Label[] = [];
  private readonly numbers = new Map<string, number>();

  /** Index in `list` of this family and command (lower case). */
  number(family: string, command: string): number {
    const name = `${family} ${command}`;
    const known = this.numbers.get(name);
    if (known !== undefined) return known;
    if (this.list.length >= MAX_LABELS && family !== OTHER_FAMILY)
      return this.number(OTHER_FAMILY, command.replace(/:.*/, ''));
    const number = this.list.push({ family, command }) - 1;
    this.numbers.set(name, number);
    return number;
  }
}

/** `evalsha:0a1b2c3d`, `fcall:name`: the command of a script's label. */
export function scriptCommand(command: string, { kind, sha1 }: Pick<Script, 'kind' | 'sha1'>): string {
  return `${command}:${kind === 'script' ? sha1.slice(0, 8) : sha1}`;
}
