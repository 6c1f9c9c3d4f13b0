/** Mines key families: raw keys → templates like `session:{id}`, folding positions that take many words. */
import { intern } from './tally.ts';

const PLACEHOLDERS = ['int', 'hex', 'uuid', 'date', 'email', 'id'] as const;
type Placeholder = (typeof PLACEHOLDERS)[number];

/** A template's parts in order: constant text, or a placeholder. */
export type Part = string | { placeholder: Placeholder };

/** More distinct words than this at one position make the position a placeholder. */
const MAX_WORDS = 64;
/** Templates are mined from this much of a key; the rest is one more placeholder. */
const MAX_KEY_CHARACTERS = 256;
/** Beyond this many templates, new shapes of keys fall into `{id}`. */
const MAX_TEMPLATES = 20_000;

const DELIMITER = /([:./|#{} ]+)/;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const DATE = /^(19|20)\d\d-?(0[1-9]|1[0-2])-?(0[1-9]|[12]\d|3[01])$/;
const EMAIL = /^[\w.+-]+@[\w-]+(\.[\w-]+)+$/;

/** The tokens of one segment between delimiters: words stay, everything that varies becomes its placeholder. */
function classify(segment: string): string[] {
  if (/^\d+$/.test(segment)) return [DATE.test(segment) ? '{date}' : '{int}'];
  if (UUID.test(segment)) return ['{uuid}'];
  if (DATE.test(segment)) return ['{date}'];
  if (/^[0-9a-f]{8,}$/i.test(segment) && /\d/.test(segment)) return ['{hex}'];
  if (!/^[\w-]+$/.test(segment)) return ['{id}'];
  // A long run with digits and letters of mixed case is a random id, though base64url has `-` and `_` in it.
  const mixed = /[a-z]/.test(segment) && /[A-Z]/.test(segment);
  if (segment.length >= 16 && ((/\d/.test(segment) && (mixed || segment.length >= 20)) || isScrambled(segment)))
    return ['{id}'];
  const parts = segment.split(/([-_]+)/);
  if (parts.length > 1) return parts.flatMap((part) => (part === '' || /^[-_]+$/.test(part) ? [part] : classify(part)));
  return [/\d/.test(segment) ? '{id}' : segment];
}

/** True for letters whose case changes too often for any camelCase. */
function isScrambled(segment: string): boolean {
  const changes = segment.match(/[a-z_-][A-Z]|[A-Z][a-z](?=[A-Z])|[A-Z]{2}[a-z]/g)?.length ?? 0;
  return changes >= segment.length / 5;
}

/** One key's tokens: constants (delimiters included) and `{placeholder}`s, longest constant runs joined. */
function tokenize(key: string): string[] {
  if (EMAIL.test(key)) return ['{email}'];
  const head = key.slice(0, MAX_KEY_CHARACTERS);
  const tokens = head
    .split(DELIMITER)
    .flatMap((segment, i) => (i % 2 === 1 || segment === '' ? [segment] : classify(segment)));
  if (key.length > head.length) tokens.push('{id}');
  return tokens.filter((token) => token !== '');
}

interface Node {
  words: Map<string, Node>;
  /** Words here have become one placeholder. */
  folded: boolean;
  /** Template that ends here, or -1. */
  template: number;
  keys: number;
}

const newNode = (): Node => ({ words: new Map(), folded: false, template: -1, keys: 0 });
const isPlaceholder = (token: string) => /^\{[a-z]+\}$/.test(token);
const isDelimiter = (token: string) => /^[^A-Za-z0-9]/.test(token) && !isPlaceholder(token);

/** Assigns template numbers to keys as they are first seen; `fold` then maps these to the final families. */
export class TemplateMiner {
  private readonly root = newNode();
  private readonly paths: string[][] = [];

  /** Number of this key's template. Call it once for each distinct key. */
  add(key: string): number {
    const path = this.paths.length >= MAX_TEMPLATES ? ['{id}'] : this.insert(tokenize(key));
    let node = this.root;
    for (const token of path) node = child(node, token);
    node.keys++;
    if (node.template < 0) node.template = this.paths.push(path) - 1;
    return node.template;
  }

  /** Length of what stands at each placeholder of this key's template. */
  lengths(template: number, key: string): number[] {
    const parts = toParts(this.paths[template]!);
    if (!parts.some((part) => typeof part !== 'string')) return [];
    const pattern = parts
      .map((part) => (typeof part === 'string' ? part.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&') : '([^]*?)'))
      .join('');
    return (new RegExp(`^${pattern}$`).exec(key) ?? []).slice(1).map((text) => text.length);
  }

  /**
   * Final families; for each template the number of its family, and where the family's placeholders come from: the
   * template's own placeholder of that index, or a folded word of that length.
   */
  fold(): { families: Part[][]; familyOf: number[]; origins: ({ index: number } | { length: number })[][] } {
    const merged = new Map<string, number>();
    const families: Part[][] = [];
    const origins: ({ index: number } | { length: number })[][] = [];
    const familyOf = this.paths.map((path) => {
      const tokens = this.foldPath(path);
      const from: ({ index: number } | { length: number })[] = [];
      let index = 0;
      tokens.forEach((token, i) => {
        if (isPlaceholder(path[i]!)) from.push({ index: index++ });
        else if (isPlaceholder(token)) from.push({ length: path[i]!.length });
      });
      origins.push(from);
      const name = tokens.join('');
      let family = merged.get(name);
      if (family === undefined) {
        family = families.push(toParts(tokens)) - 1;
        merged.set(name, family);
      }
      return family;
    });
    return { families, familyOf, origins };
  }

  private insert(tokens: string[]): string[] {
    const path: string[] = [];
    let node = this.root;
    for (const token of tokens) {
      let taken = token;
      if (!isPlaceholder(token) && !isDelimiter(token)) {
        if (!node.folded && !node.words.has(token) && countWords(node) >= MAX_WORDS) node.folded = true;
        if (node.folded) taken = '{id}';
      }
      path.push(taken);
      node = child(node, taken);
    }
    return path;
  }

  /** Applies what was learnt later: folded positions, and lone words beside a placeholder that is far more frequent. */
  private foldPath(path: string[]): string[] {
    let node = this.root;
    return path.map((token) => {
      const here = node;
      node = child(here, token);
      if (isPlaceholder(token) || isDelimiter(token)) return token;
      if (here.folded) return '{id}';
      if (token.length < 12 || node.keys + keysBelow(node) > 1) return token;
      const sibling = [...here.words].find(
        ([word, other]) => isPlaceholder(word) && other.keys + keysBelow(other) >= 10,
      );
      return sibling?.[0] ?? token;
    });
  }
}

function child(node: Node, token: string): Node {
  return intern(node.words, token, newNode);
}

function countWords(node: Node): number {
  let count = 0;
  for (const token of node.words.keys()) if (!isPlaceholder(token) && !isDelimiter(token)) count++;
  return count;
}

function keysBelow(node: Node): number {
  let keys = 0;
  for (const next of node.words.values()) keys += next.keys + keysBelow(next);
  return keys;
}

function toParts(tokens: string[]): Part[] {
  const parts: Part[] = [];
  for (const token of tokens) {
    if (isPlaceholder(token)) parts.push({ placeholder: token.slice(1, -1) as Placeholder });
    else if (typeof parts.at(-1) === 'string') parts[parts.length - 1] += token;
    else parts.push(token);
  }
  return parts;
}

/** `session:{id}`, as people read and budgets name it. */
export function templateText(parts: Part[]): string {
  return parts.map((part) => (typeof part === 'string' ? part : `{${part.placeholder}}`)).join('');
}
