/** YAML text → checked settings, or the place of the first mistake in it and the word that was meant. */
import { isMap, isScalar, LineCounter, type Node, parseDocument } from 'yaml';
import type { z } from 'zod';
import { CutoverError } from '../errors.ts';
import { printable } from '../printable.ts';

/** Characters shown of a key that is none. */
const MAX_SHOWN = 60;

interface SettingsFile {
  /** As the user named it. */
  name: string;
  /** Code of the error: `E_BUDGET`. */
  code: string;
  /** What to do, besides correcting the line. */
  advice: string;
  /** The words that are valid below each key, for "did you mean"; those of the file itself below ''. */
  words: Record<string, string[]>;
}

/**
 * @throws CutoverError (usage) naming line, column and, for a misspelt word, the nearest valid one.
 */
export function readSettings<Schema extends z.ZodType>(
  text: string,
  schema: Schema,
  { name, code, advice, words }: SettingsFile,
): z.output<Schema> {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const refuse = (offset: number, message: string): never => {
    const { line, col } = lines.linePos(offset);
    throw new CutoverError('usage', code, `${name}:${line}:${col}: ${message}`, [
      `Correct line ${line} of ${name}. ${advice}`,
    ]);
  };
  const [broken] = document.errors;
  if (broken) refuse(broken.pos[0], `not YAML: ${broken.message.split(' at line ')[0]}`);
  const parsed = schema.safeParse(document.toJS());
  if (parsed.success) return parsed.data;

  // A misspelt key also leaves its section incomplete: the key is the cause.
  const found = parsed.error.issues.flatMap((one) => leavesOf(one));
  const { path, issue } = found.find((one) => one.issue.code === 'unrecognized_keys') ?? found[0]!;
  if (issue.code === 'unrecognized_keys') {
    const key = issue.keys[0]!;
    const known = words[String(path.findLast((step) => typeof step === 'string') ?? '')] ?? [];
    const meant = nearest(key, known);
    const message = `unknown key "${printable(key).slice(0, MAX_SHOWN)}"`;
    refuse(
      keyOffset(document.getIn(path, true), key),
      meant ? `${message}; did you mean "${meant}"?` : `${message}; known here: ${known.join(', ')}`,
    );
  }
  const node = document.getIn(path, true) as Node | undefined;
  const where = path.length === 0 ? 'the file' : path.join('.');
  refuse(nodeOffset(node, document.getIn(path.slice(0, -1), true)), `${where}: ${explain(issue, node)}`);
  throw parsed.error;
}

type Issue = z.core.$ZodIssue;

/** Of "off, or a section" only what is wrong with the section is of interest, once a section was written. */
function leavesOf(issue: Issue, outer: PropertyKey[] = []): { path: PropertyKey[]; issue: Issue }[] {
  const path = [...outer, ...issue.path];
  const inside = issue.code === 'invalid_union' ? (issue.errors[1] ?? []) : [];
  const section = inside.filter((one) => one.code !== 'invalid_type' || one.path.length > 0);
  return section.length > 0 ? section.flatMap((one) => leavesOf(one, path)) : [{ path, issue }];
}

function explain(issue: Issue, node: Node | undefined): string {
  if (issue.code === 'invalid_union') return 'expected a section, or off';
  if (issue.code === 'invalid_type' && issue.expected === 'object' && node) return 'expected keys and values';
  if (issue.code === 'invalid_value') {
    const values = issue.values.map(String);
    if (node === undefined) return `is missing: ${values.join(' or ')}`;
    const meant = isScalar(node) ? nearest(String(node.value), values) : undefined;
    return meant ? `did you mean "${meant}"?` : `expected ${values.join(' or ')}`;
  }
  if (node === undefined && issue.code !== 'custom') return 'is missing';
  return issue.message.replace(/^Invalid input: /, '').replace(/^Too (small|big): expected \w+ to be /, 'expected ');
}

const keyOffset = (map: unknown, key: string) => {
  const pair = isMap(map) ? map.items.find((item) => isScalar(item.key) && item.key.value === key) : undefined;
  return nodeOffset(pair?.key as Node | undefined, map);
};
const nodeOffset = (node: Node | undefined, parent: unknown) =>
  node?.range?.[0] ?? (parent as Node | undefined)?.range?.[0] ?? 0;

/** The valid word that needs the fewest edits, if they are few enough to be a slip of the finger. */
export function nearest(word: string, words: string[]): string | undefined {
  const [best] = words
    .map((candidate) => ({ candidate, edits: levenshtein(word.toLowerCase(), candidate.toLowerCase()) }))
    .sort((a, b) => a.edits - b.edits);
  return best && best.edits <= Math.max(2, best.candidate.length / 3) ? best.candidate : undefined;
}

/** Fewest insertions, deletions and substitutions between two words, one row of the table at a time. */
function levenshtein(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(next[j - 1]! + 1, row[j]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length]!;
}
