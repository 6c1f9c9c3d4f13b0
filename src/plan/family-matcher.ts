/** Key bytes → the number of their family, by the templates of a model. */
import type { Family } from '../model/model.ts';
import { latin1 } from '../model/roles.ts';
import { intern } from '../model/tally.ts';
import type { Placeholder } from '../model/template/parts.ts';

/** What stands at a placeholder, the most particular kind first. */
const KINDS: Record<Placeholder, RegExp> = {
  uuid: /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i,
  ip: /^(\d+\.\d+\.\d+\.\d+|[0-9a-f:]*:[0-9a-f:.]*)$/i,
  date: /^(19|20)\d\d-?(0[1-9]|1[0-2])-?(0[1-9]|[12]\d|3[01])$/,
  int: /^\d+$/,
  email: /^[^@]+@[^@]+$/,
  word: /^[A-Za-z]+$/,
  hex: /^[0-9a-f]{8,}$/i,
  id: /^[^:./|#{} ]+$/,
};
const PARTICULAR = Object.keys(KINDS);
/** Templates are mined from this much of a key; so much of it is looked at. */
const MAX_KEY_CHARACTERS = 256;
/** Keys whose family is remembered; then it begins anew. */
const MAX_KNOWN = 1 << 16;

interface Candidate {
  family: number;
  parts: Family['parts'];
}

/** The families of a model, the most particular template first: a key may fit several. */
export class FamilyMatcher {
  private readonly databases = new Map<number, Candidate[]>();
  private readonly known = new Map<string, number>();

  constructor(families: Pick<Family, 'db' | 'parts'>[]) {
    families.forEach(({ db, parts }, family) => {
      intern(this.databases, db, () => []).push({ family, parts });
    });
    for (const candidates of this.databases.values()) {
      candidates.sort((a, b) => literals(b) - literals(a) || vagueness(a) - vagueness(b) || a.family - b.family);
    }
  }

  /** Index of the key's family in the model, or -1. */
  match(db: number, key: Uint8Array): number {
    const text = latin1(key.subarray(0, MAX_KEY_CHARACTERS));
    const id = `${db} ${text}`;
    let family = this.known.get(id);
    if (family === undefined) {
      const candidates = this.databases.get(db) ?? [];
      const found =
        candidates.find(({ parts }) => fits(parts, text, true)) ??
        candidates.find(({ parts }) => fits(parts, text, false));
      family = found?.family ?? -1;
      if (this.known.size >= MAX_KNOWN) this.known.clear();
      this.known.set(id, family);
    }
    return family;
  }
}

const literals = ({ parts }: Candidate) =>
  parts.reduce((sum, part) => sum + (typeof part === 'string' ? part.length : 0), 0);
const vagueness = ({ parts }: Candidate) =>
  parts.reduce((sum, part) => sum + (typeof part === 'string' ? 0 : 1 + PARTICULAR.indexOf(part.placeholder)), 0);

/**
 * Whether a key has the template's constant parts in order, and something at each placeholder: of its kind if `strict`.
 * A placeholder ends where the constant behind it first comes: no backtracking, for keys may be hostile.
 */
function fits(parts: Family['parts'], key: string, strict: boolean): boolean {
  let at = 0;
  for (let p = 0; p < parts.length; p++) {
    const part = parts[p]!;
    if (typeof part === 'string') {
      if (!key.startsWith(part, at)) return false;
      at += part.length;
      continue;
    }
    const next = parts[p + 1];
    let end = key.length;
    if (typeof next === 'string') end = p + 2 === parts.length ? key.length - next.length : key.indexOf(next, at + 1);
    else if (next !== undefined) end = at + 1;
    if (end <= at || (strict && !KINDS[part.placeholder].test(key.slice(at, end)))) return false;
    at = end;
  }
  return at === key.length;
}
