/** A script with printf's conversions (`%s`, `%(name)d`, `%1$s`) among its code → the same with opaque names in their places. */
import { type ScriptUnit, withoutLoneHoles } from './unit.ts';

/** Comments, strings, and conversions outside of both. `%` is also Lua's remainder: only a text that does not parse is looked at. */
const PARTS =
  /--\[(=*)\[[\s\S]*?\]\1\]|--[^\n]*|\[(=*)\[[\s\S]*?\]\2\]|"(?:\\[\s\S]|[^"\\\n])*"|'(?:\\[\s\S]|[^'\\\n])*'|%%|%(?:\d+\$|\(\w+\))?[-+#0]*\d*(?:\.\d+)?[sdifguxv]\b/g;
const CONVERSION = /%(?:\d+\$|\(\w+\))?[-+#0]*\d*(?:\.\d+)?[sdifguxv]/g;

/** Undefined where there is no conversion outside of strings and comments. Offsets stay as they are. */
export function fillPrintf(unit: ScriptUnit): ScriptUnit | undefined {
  const holes: [number, number][] = [];
  const quoted: [number, number][] = [];
  const text = unit.text.replace(PARTS, (part: string, ...rest: unknown[]) => {
    const offset = rest.find((value) => typeof value === 'number')!;
    if (part === '%%') return ' %';
    if (part.startsWith('%')) {
      holes.push([offset, offset + part.length]);
      return '_'.repeat(part.length);
    }
    if (!part.startsWith('--')) {
      for (const { index, 0: hole } of part.matchAll(CONVERSION)) {
        quoted.push([offset + index, offset + index + hole.length]);
      }
    }
    return part;
  });
  // A template fills in strings too.
  return holes.length === 0
    ? undefined
    : { ...unit, text: withoutLoneHoles(text, holes), holes: [...unit.holes, ...holes, ...quoted], fragment: true };
}
