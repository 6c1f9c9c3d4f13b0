/** Templates → families: which words are names to keep, and which are values of one placeholder. */
import { type ValueCounts, ValueHistogram } from '../histogram.ts';
import { intern } from '../tally.ts';
import { Kind, type Part, PLACEHOLDERS, templateText } from './parts.ts';
import { isGlue } from './scan.ts';
import { TOUCH_GROUPS, touchedType } from './touch.ts';

/** Words that have more below them than an end: so many of them that are alike are values … */
const MAX_WORDS = 50;
/** … and words that end keys, which are counters and queues, or people. */
const MAX_LAST_WORDS = 12;
/** Families begin with names: many more are needed before those are values. */
const FIRST_FACTOR = 4;
/** More distinct words than this share of the keys (or, of words that end keys, of the accesses) are values. */
const MAX_DISTINCT = 0.2;
/** Fewer words tell nothing by their share of keys. */
const MIN_DISTINCT = 4;
/** A word that came more rarely could be anyone's name: it becomes a placeholder. */
const MIN_USES = 3;
/** Mixes of commands are alike up to this Jensen–Shannon divergence (base 2), and some more for few accesses. */
const MAX_DIVERGENCE = 0.1;
/** What a short text must be constant in before it is taken for a part of the name, `1` in `:1:views`. */
const MIN_CONSTANT_KEYS = 20;
/** A generic placeholder of fewer keys than this takes no words in. */
const MIN_GENERIC_KEYS = 8;
const MAX_FAMILIES = 500;

/** A part of keys: a constant word (empty where delimiters end a key) or a placeholder, and the delimiters before it. */
export interface Token {
  delimiters: string;
  kind: Kind;
  /** Of constants. */
  text: string;
}

/** A template and what was counted of it. */
export interface Shape {
  tokens: Token[];
  /** Keys that a glob has put into one family, and what it is. */
  forced?: Token[];
  /** Estimate of the distinct keys. */
  keys: number;
  accesses: number;
  /** Accesses by group of command. */
  touches: ArrayLike<number>;
  /** Of each placeholder: lengths of what stood there, and the text if it was always the same short one. */
  lengths: ValueCounts[];
  texts: (string | undefined)[];
}

export interface Families {
  /** The busiest first. */
  families: Part[][];
  /** Family of each template. */
  familyOf: number[];
  /** Of each family's placeholders: lengths of what stood there. */
  lengths: ValueCounts[][];
}

type Span = [from: number, to: number];

/** A family in the making: its tokens and templates; `spans`: which of a template's tokens each of the family's stands for. */
interface Draft {
  tokens: Token[];
  templates: { number: number; spans: Span[] }[];
}

/** Folds a miner's templates. The order of `shapes` decides nothing but ties. */
export function foldTemplates(shapes: Shape[]): Families {
  const root = new Branch({ delimiters: '', kind: Kind.constant, text: '' });
  const drafts: Draft[] = [];
  const forced: Draft[] = [];
  shapes.forEach((shape, number) => {
    if (shape.forced) forced.push({ tokens: shape.forced, templates: [{ number, spans: [] }] });
    else root.insert(shape, number);
  });
  foldBranch(root, shapes, true, new Set());
  collect(root, [], drafts);
  const named = absorbStrays(mergeRuns(drafts, shapes), shapes).map((draft) => nameConstants(draft, shapes));
  return finish([...forced, ...named], shapes);
}

/** A node of the trie while it is folded: all keys that begin alike. */
class Branch {
  readonly token: Token;
  readonly children = new Map<string, Branch>();
  /** Numbers of the templates that end here. */
  ends: number[] = [];
  keys = 0;
  accesses = 0;

  constructor(token: Token) {
    this.token = token;
  }

  insert(shape: Shape, number: number): void {
    let branch: Branch = this;
    branch.count(shape);
    for (const token of shape.tokens) {
      branch = intern(branch.children, idOf(token), () => new Branch(token));
      branch.count(shape);
    }
    branch.ends.push(number);
  }

  /** Adds all that another branch has, which is then not to be used any more. */
  take(other: Branch): void {
    this.keys += other.keys;
    this.accesses += other.accesses;
    this.ends.push(...other.ends);
    for (const [id, child] of other.children) {
      const own = this.children.get(id);
      if (own) own.take(child);
      else this.children.set(id, child);
    }
  }

  private count({ keys, accesses }: Shape): void {
    this.keys += keys;
    this.accesses += accesses;
  }
}

const idOf = ({ delimiters, kind, text }: Token) => `${delimiters}\0${kind}\0${text}`;

/** Decides about the words below a branch, and then below each of what they have become. `known`: words that are names at branches like this one. */
function foldBranch(branch: Branch, shapes: Shape[], isFirst: boolean, known: Set<string>): void {
  const groups = new Map<string, Branch[]>();
  for (const child of branch.children.values()) intern(groups, child.token.delimiters, () => []).push(child);
  const kept: { branch: Branch; names: Set<string> }[] = [];
  for (const group of groups.values()) {
    const members = group.map((child) => ({ branch: child, profile: profileOf(child, shapes) }));
    const isName = ({ branch: { token } }: Member) => token.kind === Kind.constant;
    const words = members.filter((member) => isName(member) && member.branch.token.text !== '');
    const ends = members.filter((member) => isName(member) && member.branch.token.text === '');
    const { names, values } = sortWords(words, members, isFirst, known);
    const placeholders = mergeKinds([
      ...members.filter((member) => !isName(member)),
      ...values.map(({ branch: value, profile }) => ({ branch: renamed(value, Kind.word), profile })),
    ]);
    const rest = absorbWords(names, placeholders, known);
    for (const member of [...ends, ...placeholders]) kept.push({ branch: member.branch, names: new Set() });
    for (const { members: alike } of rest) {
      const common = commonWords(alike);
      for (const member of alike) kept.push({ branch: member.branch, names: common });
    }
  }
  branch.children.clear();
  for (const { branch: child, names } of kept) {
    const id = idOf(child.token);
    branch.children.set(id, child);
    foldBranch(child, shapes, false, names);
  }
}

interface Member {
  branch: Branch;
  profile: Profile;
}

interface Cluster {
  members: Member[];
  profile: Profile;
}

function renamed(branch: Branch, kind: Kind): Branch {
  const other = new Branch({ delimiters: branch.token.delimiters, kind, text: '' });
  other.take(branch);
  return other;
}

/** Words in clusters of alike ones; those that are values of a placeholder apart. */
function sortWords(
  words: Member[],
  group: Member[],
  isFirst: boolean,
  known: Set<string>,
): { names: Cluster[]; values: Member[] } {
  const clusters: Cluster[] = [];
  // What the miner has taken for one of many words: words that are alike are values as well.
  const many = group.find(({ branch }) => branch.token.kind === Kind.word);
  if (many) clusters.push({ members: [], profile: copyOf(many.profile) });
  for (const word of [...words].sort(busiestFirst)) {
    const cluster = clusters.find(({ profile }) => areAlike(word.profile, profile));
    if (cluster) {
      cluster.members.push(word);
      addTo(cluster.profile, word.profile);
    } else clusters.push({ members: [word], profile: copyOf(word.profile) });
  }
  const names: Cluster[] = [];
  const values: Member[] = [];
  clusters.forEach((cluster, i) => {
    const isKnown = ({ branch }: Member) => known.has(idOf(branch.token));
    if ((many && i === 0) || areMany(cluster, isFirst)) values.push(...cluster.members);
    else {
      const few = areFew(cluster);
      const isValue = (member: Member) => !isKnown(member) && (few || member.branch.accesses < MIN_USES);
      values.push(...cluster.members.filter(isValue));
      names.push({ ...cluster, members: cluster.members.filter((member) => !isValue(member)) });
    }
  });
  return { names, values };
}

const busiestFirst = (a: Member, b: Member) =>
  b.branch.accesses - a.branch.accesses || (a.branch.token.text < b.branch.token.text ? -1 : 1);

/** True for more words than anyone gives names; of words that begin titles and paths, fewer are enough. */
function areMany({ members, profile }: Cluster, isFirst: boolean): boolean {
  const limit = profile.isLast || profile.runs > MAX_DISTINCT * profile.keys ? MAX_LAST_WORDS : MAX_WORDS;
  return members.length > (isFirst ? FIRST_FACTOR : 1) * limit;
}

/** True for words of which each has few keys or, where each is but one key, few accesses. */
function areFew({ members, profile }: Cluster): boolean {
  const sum = (of: (branch: Branch) => number) => members.reduce((total, { branch }) => total + of(branch), 0);
  if (profile.isLast) return members.length > 1 && members.length > MAX_DISTINCT * sum(({ accesses }) => accesses);
  return members.length >= MIN_DISTINCT && members.length > MAX_DISTINCT * sum(({ keys }) => keys);
}

/** Words that stand below several members of a cluster. */
function commonWords(members: Member[]): Set<string> {
  const seen = new Set<string>();
  const common = new Set<string>();
  for (const { branch } of members) {
    for (const [id, { token }] of branch.children) {
      if (token.kind !== Kind.constant) continue;
      if (seen.has(id)) common.add(id);
      seen.add(id);
    }
  }
  return common;
}

/** Which kinds are likely an accident of a more general one: digits only in a hexadecimal id, a date among numbers. */
const NARROWER: [Kind, Kind, number][] = [
  [Kind.date, Kind.int, 0.2],
  [Kind.int, Kind.hex, 0.3],
  [Kind.int, Kind.id, 0.3],
  [Kind.hex, Kind.id, 0.3],
  [Kind.word, Kind.id, Number.POSITIVE_INFINITY],
];

/** Placeholders of one position, one of a kind; a kind that is an accident of another one is merged into it. */
function mergeKinds(members: Member[]): Member[] {
  const byKind = new Map<Kind, Member>();
  for (const { branch, profile } of members) {
    const own = byKind.get(branch.token.kind);
    if (!own) byKind.set(branch.token.kind, { branch, profile: copyOf(profile) });
    else {
      own.branch.take(branch);
      addTo(own.profile, profile);
    }
  }
  for (const [narrow, wide, share] of NARROWER) {
    const from = byKind.get(narrow);
    const into = byKind.get(wide);
    if (!from || !into || from.branch.keys > share * into.branch.keys) continue;
    if (!areAlike(from.profile, into.profile) || !fits(from.profile, into.profile)) continue;
    into.branch.take(from.branch);
    addTo(into.profile, from.profile);
    byKind.delete(narrow);
  }
  return [...byKind.values()];
}

/** Merges words that look like values of a generic placeholder beside them; returns the others. */
function absorbWords(names: Cluster[], placeholders: Member[], known: Set<string>): Cluster[] {
  const generic = placeholders
    .filter(
      ({ branch: { token, keys } }) => (token.kind === Kind.id || token.kind === Kind.hex) && keys >= MIN_GENERIC_KEYS,
    )
    .sort((a, b) => b.branch.keys - a.branch.keys);
  return names.map(({ members, profile }) => ({
    profile,
    members: members.filter(({ branch, profile: own }) => {
      if (known.has(idOf(branch.token))) return true;
      const into = generic.find(
        (other) =>
          branch.keys * 10 <= other.branch.keys &&
          branch.accesses * other.branch.keys <= 10 * other.branch.accesses * branch.keys &&
          (other.branch.token.kind === Kind.id || /^[a-f]+$/i.test(branch.token.text)) &&
          fits(own, other.profile) &&
          areAlike(own, other.profile),
      );
      into?.branch.take(branch);
      return into === undefined;
    }),
  }));
}

/** How keys go on behind a position, and what is done with them. */
interface Profile {
  /** By the delimiters that follow, glue left out: what hangs together by glue is of any number of parts. */
  rests: Map<string, { keys: number; accesses: number; touches: Float64Array }>;
  /** Nothing follows but glue and what it joins. */
  isLast: boolean;
  /** How many different ways there are from here to the next delimiter that is no joint. */
  runs: number;
  /** Bytes from here to the next delimiter that is no glue. */
  shortest: number;
  longest: number;
  /** Their mean, weighted by keys, and the keys. */
  meanBytes: number;
  keys: number;
}

function profileOf(branch: Branch, shapes: Shape[]): Profile {
  const profile: Profile = {
    ...{
      rests: new Map(),
      isLast: true,
      runs: 0,
      shortest: Number.POSITIVE_INFINITY,
      longest: 0,
      meanBytes: 0,
      keys: 0,
    },
  };
  const runs = new Set<string>();
  visit(branch, (number, depth) => {
    const shape = shapes[number]!;
    const { tokens, keys } = shape;
    const from = tokens.length - depth;
    const next = tokens.findIndex(({ delimiters }, i) => i > from && !isJoint(delimiters));
    runs.add(
      tokens
        .slice(from, next < 0 ? tokens.length : next)
        .map(idOf)
        .join('\0\0'),
    );
    let skeleton = '';
    let end = tokens.length;
    for (let i = tokens.length - 1; i > from; i--) {
      const { delimiters } = tokens[i]!;
      if (isGlue(delimiters)) continue;
      skeleton = `${delimiters}\0${skeleton}`;
      end = i;
    }
    const rest = intern(profile.rests, skeleton, () => ({
      ...{ keys: 0, accesses: 0, touches: new Float64Array(TOUCH_GROUPS) },
    }));
    rest.keys += keys;
    rest.accesses += shape.accesses;
    for (let g = 0; g < TOUCH_GROUPS; g++) rest.touches[g]! += shape.touches[g]!;
    if (skeleton !== '') profile.isLast = false;
    const run = spanLengths(tokens, shape.lengths, 1, from, end);
    const entries = run.entries();
    profile.shortest = Math.min(profile.shortest, entries[0]![0]);
    profile.longest = Math.max(profile.longest, entries.at(-1)![0]);
    profile.meanBytes = (profile.meanBytes * profile.keys + run.mean() * keys) / (profile.keys + keys);
    profile.keys += keys;
  });
  profile.runs = runs.size;
  return profile;
}

/** Calls back with every template below, and how many of its tokens are not above the branch. */
function visit(branch: Branch, each: (template: number, depth: number) => void, depth = 1): void {
  for (const number of branch.ends) each(number, depth);
  for (const child of branch.children.values()) visit(child, each, depth + 1);
}

function copyOf(profile: Profile): Profile {
  const copy: Profile = { ...profile, rests: new Map() };
  for (const [skeleton, rest] of profile.rests) copy.rests.set(skeleton, { ...rest, touches: rest.touches.slice() });
  return copy;
}

function addTo(into: Profile, from: Profile): void {
  for (const [skeleton, { keys, accesses, touches }] of from.rests) {
    const own = intern(into.rests, skeleton, () => ({ keys: 0, accesses: 0, touches: new Float64Array(TOUCH_GROUPS) }));
    own.keys += keys;
    own.accesses += accesses;
    for (let g = 0; g < TOUCH_GROUPS; g++) own.touches[g]! += touches[g]!;
  }
  into.isLast &&= from.isLast;
  into.runs += from.runs;
  into.shortest = Math.min(into.shortest, from.shortest);
  into.longest = Math.max(into.longest, from.longest);
  into.meanBytes = (into.meanBytes * into.keys + from.meanBytes * from.keys) / Math.max(1, into.keys + from.keys);
  into.keys += from.keys;
}

/** Keys go on alike behind both, and where they do, they get a like mix of commands. */
function areAlike(one: Profile, other: Profile): boolean {
  let shared = 0;
  let accesses = 0;
  let distance = 0;
  for (const [skeleton, rest] of one.rests) {
    const match = other.rests.get(skeleton);
    if (!match) continue;
    shared += rest.keys;
    accesses += rest.accesses;
    const bits = divergence(rest.touches, match.touches) - chance(rest.touches, match.touches);
    distance += rest.accesses * Math.max(0, bits);
  }
  return shared > 0 && shared * 2 >= one.keys && distance <= MAX_DIVERGENCE * accesses;
}

/** Whether what `one` stands for is of a length that `other` has. */
function fits(one: Profile, other: Profile): boolean {
  return one.meanBytes >= other.shortest - 0.5 && one.meanBytes <= other.longest + 0.5;
}

const total = (counts: ArrayLike<number>) => {
  let sum = 0;
  for (let i = 0; i < counts.length; i++) sum += counts[i]!;
  return sum;
};

/** What divergence one access alone may make. */
const chance = (p: ArrayLike<number>, q: ArrayLike<number>) => 1 / Math.max(1, total(p)) + 1 / Math.max(1, total(q));

const likeTouches = (p: ArrayLike<number>, q: ArrayLike<number>) => divergence(p, q) <= MAX_DIVERGENCE + chance(p, q);

/** Jensen–Shannon divergence in bits; 0 if either is empty. */
function divergence(p: ArrayLike<number>, q: ArrayLike<number>): number {
  const [pSum, qSum] = [total(p), total(q)];
  if (pSum === 0 || qSum === 0) return 0;
  let bits = 0;
  for (let i = 0; i < p.length; i++) {
    const a = p[i]! / pSum;
    const b = q[i]! / qSum;
    if (a > 0) bits += (a * Math.log2((2 * a) / (a + b))) / 2;
    if (b > 0) bits += (b * Math.log2((2 * b) / (a + b))) / 2;
  }
  return bits;
}

/** Leaves of the folded trie as drafts. */
function collect(branch: Branch, path: Token[], drafts: Draft[]): void {
  const spans = path.map((_, i): Span => [i, i + 1]);
  if (branch.ends.length > 0)
    drafts.push({ tokens: path, templates: branch.ends.map((number) => ({ number, spans })) });
  for (const child of branch.children.values()) collect(child, [...path, child.token], drafts);
}

/** Delimiters that ids may have inside: glue, or what joins the parts of paths and of base64. */
const isJoint = (delimiters: string) => /^[-_+=~./]*$/.test(delimiters);
const isNothing = (delimiters: string) => delimiters === '';

/** Every run of placeholders with such delimiters between them as one id; of several kinds, it must have a generic one. */
function joinRuns(draft: Draft, joins: (delimiters: string) => boolean): Draft {
  const runs: Span[] = [];
  draft.tokens.forEach((token, i) => {
    const run = runs.at(-1);
    const before = draft.tokens[i - 1];
    const goes = before && before.kind !== Kind.constant && token.kind !== Kind.constant && joins(token.delimiters);
    if (run && goes) run[1] = i + 1;
    else runs.push([i, i + 1]);
  });
  const isGeneric = ({ kind }: Token) => kind === Kind.id || kind === Kind.word;
  const whole = runs.flatMap(([from, to]): Span[] => {
    const tokens = draft.tokens.slice(from, to);
    return joins === isNothing || tokens.some(isGeneric)
      ? [[from, to]]
      : tokens.map((_, i) => [from + i, from + i + 1]);
  });
  return {
    tokens: whole.map(([from, to]) => {
      const first = draft.tokens[from]!;
      return to === from + 1 ? first : { ...first, kind: Kind.id };
    }),
    templates: draft.templates.map(({ number, spans }) => ({
      number,
      spans: spans.length === 0 ? [] : whole.map(([from, to]): Span => [spans[from]![0], spans[to - 1]![1]]),
    })),
  };
}

/**
 * Ids with delimiters inside (base64, slugs, paths) were split into one, two or more parts: families that differ in
 * nothing else are one. Placeholders with nothing between them are always one.
 */
function mergeRuns(drafts: Draft[], shapes: Shape[]): Draft[] {
  const groups = new Map<string, Draft[]>();
  for (const draft of drafts) {
    const joined = joinRuns(draft, isNothing);
    // A word alone may be the id that has but one part.
    const form = joinRuns(joined, isJoint).tokens.map((token) =>
      idOf(token.kind === Kind.word ? { ...token, kind: Kind.id } : token),
    );
    intern(groups, form.join('\0\0'), () => []).push(joined);
  }
  return [...groups.values()].flatMap((group) => {
    const [first, ...others] = group.sort((a, b) => keysOf(b, shapes) - keysOf(a, shapes)) as [Draft, ...Draft[]];
    const alike = others.filter((other) => isVariant(other, first, group.length, shapes));
    if (alike.length === 0) return group;
    const variants = [first, ...alike].map((draft) => joinRuns(draft, isJoint));
    return [combine(variants), ...others.filter((other) => !alike.includes(other))];
  });
}

const MANY_VARIANTS = 3;

/** Like commands, and either many variants, or ids that are as long as the others are. */
function isVariant(draft: Draft, first: Draft, variants: number, shapes: Shape[]): boolean {
  if (!likeTouches(touchesOf(draft, shapes), touchesOf(first, shapes))) return false;
  if (variants >= MANY_VARIANTS) return true;
  const [ours, others] = [draft, first].map((one) => lengthsOf(joinRuns(one, isJoint), shapes)) as [
    ValueHistogram[],
    ValueHistogram[],
  ];
  return ours.every((lengths, i) => {
    const range = others[i]!.entries();
    const mean = lengths.mean();
    return mean >= range[0]![0] - 0.5 && mean <= range.at(-1)![0] + 0.5;
  });
}

/** Tokens of a draft that hang together: from one delimiter that ids do not have inside to the next. */
interface Unit {
  /** Delimiters before it, up to the last that is no joint. */
  delimiters: string;
  /** Joints that begin it. */
  lead: string;
  from: number;
  to: number;
}

function unitsOf({ tokens }: Draft): Unit[] {
  const units: Unit[] = [];
  tokens.forEach(({ delimiters }, i) => {
    const unit = units.at(-1);
    const lead = /[-_+=~./]*$/.exec(delimiters)![0];
    if (unit && lead === delimiters) unit.to = i + 1;
    else units.push({ delimiters: delimiters.slice(0, delimiters.length - lead.length), lead, from: i, to: i + 1 });
  });
  return units;
}

/** Name of a draft's form with one of its units taken for an id. */
function formWith(draft: Draft, units: Unit[], id: number): string {
  return units
    .map(({ delimiters, lead, from, to }, u) => {
      const text = u === id ? '' : `${lead}\0${draft.tokens.slice(from, to).map(idOf).join('\0')}`;
      return `${delimiters}\0\0${text}`;
    })
    .join('\0\0\0');
}

/** Mean length of a unit, and its range. */
function unitLengths(draft: Draft, { lead, from, to }: Unit, shapes: Shape[]) {
  const all = new ValueHistogram();
  for (const { number, spans } of draft.templates) {
    const { tokens, lengths, keys } = shapes[number]!;
    all.addAll(spanLengths(tokens, lengths, keys, spans[from]![0], spans[to - 1]![1]));
  }
  const entries = all.entries();
  return { mean: all.mean() + lead.length, shortest: entries[0]![0], longest: entries.at(-1)![0] };
}

/** Ids of one length have almost one: the few that differ were mistaken for something else. */
const ONE_LENGTH = 2;

/** A family and what is known of one of its units. */
interface Candidate {
  draft: Draft;
  unit: Unit;
  keys: number;
  touches: Float64Array;
  lengths: ReturnType<typeof unitLengths>;
}

/** Merges families that differ from a much larger one only in that an id was mistaken for words and numbers. */
function absorbStrays(drafts: Draft[], shapes: Shape[]): Draft[] {
  const sorted = drafts
    .map((draft) => ({ draft, units: unitsOf(draft), keys: keysOf(draft, shapes) }))
    .sort((a, b) => b.keys - a.keys);
  const hosts = new Map<string, Candidate>();
  return sorted.flatMap(({ draft, units, keys }) => {
    const candidate = (unit: Unit): Candidate => ({
      ...{ draft, unit, keys, touches: touchesOf(draft, shapes), lengths: unitLengths(draft, unit, shapes) },
    });
    for (const [u, unit] of units.entries()) {
      const isId = unit.to === unit.from + 1 && unit.lead === '' && draft.tokens[unit.from]!.kind === Kind.id;
      const form = formWith(draft, units, u);
      const host = hosts.get(form);
      if (!host && isId) hosts.set(form, candidate(unit));
      if (!host || isId || !isStray(candidate(unit), host)) continue;
      for (const { number, spans } of draft.templates) {
        const whole: Span = [spans[unit.from]![0], spans[unit.to - 1]![1]];
        host.draft.templates.push({ number, spans: [...spans.slice(0, unit.from), whole, ...spans.slice(unit.to)] });
      }
      return [];
    }
    return [draft];
  });
}

function isStray(stray: Candidate, host: Candidate): boolean {
  const { shortest, longest } = host.lengths;
  const { mean } = stray.lengths;
  if (mean < shortest - 0.5 || mean > longest + 0.5) return false;
  if (stray.keys * (longest - shortest <= ONE_LENGTH ? 3 : 20) > host.keys) return false;
  const isAsBusy = total(stray.touches) * host.keys <= 10 * total(host.touches) * stray.keys;
  return isAsBusy && likeTouches(stray.touches, host.touches);
}

/** Drafts of equally many tokens as one; kinds that differ become ids. */
function combine(drafts: Draft[]): Draft {
  const [{ tokens }] = drafts as [Draft, ...Draft[]];
  return {
    tokens: tokens.map((token, i) => {
      const same = drafts.every((draft) => draft.tokens[i]!.kind === token.kind);
      return same ? token : { ...token, kind: Kind.id };
    }),
    templates: drafts.flatMap(({ templates }) => templates),
  };
}

/** A short number or code that is the same in all of many keys, as in `:1:views`, is part of the name. */
function nameConstants(draft: Draft, shapes: Shape[]): Draft {
  if (keysOf(draft, shapes) < MIN_CONSTANT_KEYS) return draft;
  const tokens = draft.tokens.map((token, i): Token => {
    if (token.kind !== Kind.int && token.kind !== Kind.id) return token;
    const texts = new Set(
      draft.templates.map(({ number, spans }) => {
        const { tokens: original, texts } = shapes[number]!;
        const [from, to] = spans[i] ?? [0, 0];
        return to === from + 1 && original[from]!.kind === token.kind
          ? texts[placeholdersBefore(original, from)]
          : undefined;
      }),
    );
    const [text] = texts;
    return texts.size === 1 && text !== undefined && /^\w+$/.test(text)
      ? { ...token, kind: Kind.constant, text }
      : token;
  });
  return { ...draft, tokens };
}

function finish(drafts: Draft[], shapes: Shape[]): Families {
  const byParts = new Map<string, Draft[]>();
  for (const draft of drafts) intern(byParts, JSON.stringify(partsOf(draft.tokens)), () => []).push(draft);
  const busiest = [...byParts.values()]
    .map((same) => {
      const accesses = same.reduce((sum, draft) => sum + sumOf(draft, shapes, (shape) => shape.accesses), 0);
      const parts = partsOf(same[0]!.tokens);
      return { same, parts, text: templateText(parts), accesses };
    })
    .sort((a, b) => b.accesses - a.accesses || (a.text < b.text ? -1 : 1));
  const result: Families = { families: [], familyOf: new Array<number>(shapes.length).fill(0), lengths: [] };
  const append = (parts: Part[], templates: { number: number }[], lengths: ValueHistogram[]) => {
    for (const { number } of templates) result.familyOf[number] = result.families.length;
    result.families.push(parts);
    result.lengths.push(lengths.map((one) => one.entries()));
  };
  const others = new Map<string, Draft[]>();
  busiest.forEach(({ same, parts }, rank) => {
    if (rank >= MAX_FAMILIES) {
      for (const draft of same) intern(others, touchedType(touchesOf(draft, shapes)), () => []).push(draft);
      return;
    }
    const [lengths, ...more] = same.map((draft) => lengthsOf(draft, shapes)) as [
      ValueHistogram[],
      ...ValueHistogram[][],
    ];
    for (const one of more) lengths.forEach((histogram, i) => void histogram.addAll(one[i]!));
    append(
      parts,
      same.flatMap(({ templates }) => templates),
      lengths,
    );
  });
  for (const [type, rest] of others) {
    const whole = new ValueHistogram();
    for (const { templates } of rest) {
      for (const { number } of templates) {
        const { tokens, lengths, keys, forced } = shapes[number]!;
        whole.addAll(spanLengths(forced ?? tokens, lengths, keys, 0, (forced ?? tokens).length));
      }
    }
    const parts: Part[] = [`<other:${type}>`, { placeholder: 'id' }];
    append(
      parts,
      rest.flatMap(({ templates }) => templates),
      [whole],
    );
  }
  return result;
}

function partsOf(tokens: Token[]): Part[] {
  const parts: Part[] = [];
  const constant = (text: string) => {
    if (text === '') return;
    if (typeof parts.at(-1) === 'string') parts[parts.length - 1] += text;
    else parts.push(text);
  };
  for (const { delimiters, kind, text } of tokens) {
    constant(delimiters);
    if (kind === Kind.constant) constant(text);
    else parts.push({ placeholder: PLACEHOLDERS[kind - 1]! });
  }
  return parts;
}

/** Lengths of each of a draft's placeholders. */
function lengthsOf(draft: Draft, shapes: Shape[]): ValueHistogram[] {
  const histograms: ValueHistogram[] = [];
  let placeholder = 0;
  draft.tokens.forEach((token, i) => {
    if (token.kind === Kind.constant) return;
    const histogram = new ValueHistogram();
    for (const { number, spans } of draft.templates) {
      const { tokens, lengths, keys, forced } = shapes[number]!;
      if (forced) histogram.addAll(ValueHistogram.from(lengths[placeholder]!));
      else histogram.addAll(spanLengths(tokens, lengths, keys, ...spans[i]!));
    }
    histograms.push(histogram);
    placeholder++;
  });
  return histograms;
}

/**
 * Lengths of tokens `from` to `to` of keys, as text in one. Of several placeholders only the means are known together, so
 * that their sum is; `keys` counts where no placeholder does.
 */
export function spanLengths(
  tokens: Token[],
  lengths: ValueCounts[],
  keys: number,
  from: number,
  to: number,
): ValueHistogram {
  let placeholder = placeholdersBefore(tokens, from);
  let constant = 0;
  const varying: ValueCounts[] = [];
  for (let i = from; i < to; i++) {
    const { delimiters, kind, text } = tokens[i]!;
    if (i > from) constant += delimiters.length;
    if (kind === Kind.constant) constant += text.length;
    else varying.push(lengths[placeholder++]!);
  }
  const [only, ...others] = varying;
  if (only && others.length === 0) return ValueHistogram.from(only.map(([length, n]) => [length + constant, n]));
  const means = varying.map((counts) => ValueHistogram.from(counts).mean());
  return ValueHistogram.from([[Math.round(means.reduce((sum, mean) => sum + mean, constant)), keys]]);
}

export function placeholdersBefore(tokens: Token[], end: number): number {
  let n = 0;
  for (let i = 0; i < end; i++) if (tokens[i]!.kind !== Kind.constant) n++;
  return n;
}

function sumOf(draft: Draft, shapes: Shape[], of: (shape: Shape) => number): number {
  return draft.templates.reduce((sum, { number }) => sum + of(shapes[number]!), 0);
}

const keysOf = (draft: Draft, shapes: Shape[]) => sumOf(draft, shapes, ({ keys }) => keys);

function touchesOf(draft: Draft, shapes: Shape[]): Float64Array {
  const touches = new Float64Array(TOUCH_GROUPS);
  for (const { number } of draft.templates)
    for (let g = 0; g < TOUCH_GROUPS; g++) touches[g]! += shapes[number]!.touches[g]!;
  return touches;
}
