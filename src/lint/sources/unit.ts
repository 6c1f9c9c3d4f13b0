/** What the sources give to the rules: scripts with their place in the world. */

/** Bytes as characters (latin1) → the UTF-8 text that they are, as far as they are. */
export const decode = (bytes: string) => Buffer.from(bytes, 'latin1').toString('utf8');

/** A place that a reader can go to. */
export interface Place {
  file: string;
  /** From 1. */
  line: number;
  /** In bytes, from 1. */
  column: number;
  /** The line itself, one character per byte. */
  text: string;
}

/** A script, wherever it was found. */
export interface ScriptUnit {
  /** How the reader knows it: a path, or a capture's name and the script's SHA1. */
  name: string;
  /** One character per byte; what the server would get, template holes replaced. */
  text: string;
  /** Offsets in `text` of what a template fills in. */
  holes: [start: number, end: number][];
  /** Parts of it are elsewhere (includes, templates): names that it does not define may be defined there. */
  fragment: boolean;
  /** Whether a neighbour (of the same file, or folder) declares a local of this name: scripts are put together from parts. */
  declaredNearby?(name: string): boolean;
  /** Where a byte of `text` stands. */
  place(offset: number): Place;
  /** The capture it came with, and the line of its text there; `place` then tells places in the script alone. */
  capture?: { file: string; line: number };
  /** How often it was called, and by how many clients, where a capture says so. */
  calls?: number;
  clients?: number;
  /** SHA1 of the text as servers know it. */
  sha?: string;
  /** A capture says that it is only ever called by EVAL_RO or EVALSHA_RO. */
  readOnly?: boolean;
  /** How many keys its callers declare, where that is known: from a capture, or the name `addJob-6.lua`. */
  declaredKeys?: number;
}

/** Something that could not be read as what it seems; reported, never guessed. */
export interface ParseError {
  file: string;
  line: number;
  column: number;
  message: string;
}

/** Where the lines of a text begin. */
function lineStartsOf(text: string): number[] {
  const starts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return starts;
}

/** Turns offsets of a text into places of its file. */
export function placesIn(file: string, text: string): (offset: number) => Place {
  const starts = lineStartsOf(text);
  return (offset) => {
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (starts[middle]! <= offset) low = middle;
      else high = middle - 1;
    }
    const start = starts[low]!;
    const end = starts[low + 1] ?? text.length + 1;
    return { file, line: low + 1, column: offset - start + 1, text: text.slice(start, end - 1).replace(/\r$/, '') };
  };
}

const LOCALS = /\blocal[ \t]+(?:function[ \t]+)?([A-Za-z_]\w*(?:[ \t]*,[ \t]*[A-Za-z_]\w*)*)/g;

/** Which locals neighbouring texts declare; asked whether one of them, other than the text of number `own`, declares `name`. */
export function localsIn(texts: string[]): (name: string, own: number) => boolean {
  let declarers: Map<string, number[]> | undefined;
  const read = () => {
    const found = new Map<string, number[]>();
    for (const [i, text] of texts.entries()) {
      for (const [, names] of text.matchAll(LOCALS)) {
        for (const name of names!.split(/[ \t]*,[ \t]*/)) found.set(name, [...(found.get(name) ?? []), i]);
      }
    }
    return found;
  };
  return (name, own) => {
    // Few scripts ever ask.
    declarers ??= read();
    return (declarers.get(name) ?? []).some((i) => i !== own);
  };
}

/** A hole that has its line to itself stands for statements: blank, the rest can be read. Offsets stay as they are. */
export function withoutLoneHoles(
  text: string,
  holes: readonly (readonly [start: number, end: number, ...unknown[]])[],
): string {
  let blanked = text;
  for (const [start, end] of holes) {
    const before = blanked.slice(blanked.lastIndexOf('\n', start - 1) + 1, start);
    const next = blanked.indexOf('\n', end);
    const after = blanked.slice(end, next < 0 ? blanked.length : next);
    if (before.trim() !== '' || after.trim() !== '') continue;
    blanked = blanked.slice(0, start) + blanked.slice(start, end).replace(/[^\n]/g, ' ') + blanked.slice(end);
  }
  return blanked;
}
