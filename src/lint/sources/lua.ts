/** A `.lua` file → the script that the server would get: includes put in, template parts made opaque. */
import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { type Place, placesIn, type ScriptUnit, withoutLoneHoles } from './unit.ts';

/** BullMQ's preprocessor: a comment that stands for another file. */
const INCLUDE = /^[ \t]*---?[ \t]*@include[ \t]+(["'<])([^"'>\r\n]+)["'>][^\n]*$/gm;
/** Deeper, or in a circle: left out. */
const MAX_INCLUDE_DEPTH = 20;

export interface LuaFile {
  unit: ScriptUnit;
  /** Absolute paths of the files that it includes: they are read as part of it. */
  includes: string[];
}

/** `path` as the user named it. */
export function readLuaFile(path: string): LuaFile {
  const pieces: { start: number; offset: number; place: (offset: number) => Place }[] = [];
  const included = new Set<string>();
  const missing: string[] = [];
  let text = '';
  const read = (file: string, depth: number) => {
    const source = readFileSync(file, 'latin1');
    const place = placesIn(file, source);
    const append = (from: number, to: number) => {
      pieces.push({ start: text.length, offset: from, place });
      text += source.slice(from, to);
    };
    let at = 0;
    for (const match of source.matchAll(INCLUDE)) {
      append(at, match.index);
      at = match.index;
      const name = match[2]!;
      const target = resolve(dirname(file), name.endsWith('.lua') ? name : `${name}.lua`);
      if (!existsSync(target)) missing.push(name);
      else if (depth < MAX_INCLUDE_DEPTH && !included.has(target)) {
        included.add(target);
        read(target, depth + 1);
        if (!text.endsWith('\n')) text += '\n';
      }
    }
    append(at, source.length);
  };
  read(path, 0);
  const place = (offset: number): Place => {
    const piece = pieces.findLast(({ start }) => start <= offset)!;
    return piece.place(piece.offset + offset - piece.start);
  };
  const { text: filled, holes } = fillTemplate(text);
  const keys = /-(\d{1,2})\.lua$/.exec(basename(path))?.[1];
  return {
    unit: {
      name: path,
      text: filled,
      holes,
      fragment: missing.length > 0 || holes.length > 0,
      place,
      ...(keys === undefined ? {} : { declaredKeys: Number(keys) }),
    },
    includes: [...included],
  };
}

/** `<% … %>`, `${…}`, `#{…}`, `{{…}}`; what a template engine or the surrounding language fills in. */
const HOLES = /<%[\s\S]*?%>|\$\{[^{}]*\}|#\{[^{}"]*\}/g;

/**
 * Replaces the holes of a template by an identifier of the same length, so that offsets stay true; one that is alone in
 * its lines becomes blank. Long brackets and length operators (`#{1, 2}`) of plain Lua are left alone.
 */
function fillTemplate(text: string): { text: string; holes: [number, number][] } {
  const holes: [number, number][] = [];
  const filled = text.replace(HOLES, (hole, offset: number) => {
    // `#{…}` is also the length of a table.
    if (hole.startsWith('#{') && !/^#\{[\w.@ ()[\]:]+\}$/.test(hole)) return hole;
    holes.push([offset, offset + hole.length]);
    return '_'.repeat(hole.length);
  });
  return { text: withoutLoneHoles(filled, holes), holes };
}
