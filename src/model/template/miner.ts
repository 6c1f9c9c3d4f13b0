/** Keys → numbers of templates, one pass in bounded memory; in the end, templates → families. */
import { type ValueCounts, ValueHistogram } from '../histogram.ts';
import { type Families, foldTemplates, placeholdersBefore, type Shape, spanLengths, type Token } from './fold.ts';
import { Glob } from './glob.ts';
import { Kind } from './parts.ts';
import { EMPTY_HASH, KeyScanner, labelOf } from './scan.ts';
import { TOUCH_GROUPS } from './touch.ts';

// Bounds on what hostile keys can make grow. More words may begin keys than follow, for families begin with names.
const MAX_FIRST_WORDS = 512;
const MAX_WORDS = 128;
/** Ways in which keys go on after one beginning: words, kinds, and the delimiters before them. */
const MAX_EDGES = 1024;
const MAX_NODES = 1 << 16;
const MAX_TEMPLATES = 1 << 13;
/** Where so many ways go on, and more of them than keys, there is no structure, but titles, paths, noise. */
const MANY_BELOW = 512;
/** Lengths are taken from so many keys of a template, and then from every 16th. */
const EVERY_KEY = 4096;
const EVERY = 16;
/** Longest text of which it is known whether all keys of a template have it. */
const SHORT_BYTES = 3;
const NONE = -2;
const VARIES = -1;
/** Words of the bitmap that estimates a template's distinct keys. */
const BITMAP_WORDS = 8;
const ROOT = 0;

/** A beginning of keys; its token is the last of it. */
interface Node extends Token {
  parent: number;
  words: number;
  edges: number;
  /** Nodes that begin with this one. */
  below: number;
  /** What is behind it is not told apart any more, up to the next delimiter that ids do not have. */
  isFull: boolean;
}

interface Template {
  /** Node where its keys end, or -1 - number of its glob. */
  node: number;
  count: number;
  /** Of each placeholder: the text that all keys have there, packed, or NONE or VARIES. */
  texts: number[];
  lengths: ValueHistogram[];
  /** What a glob's stars stood for. */
  stars: Kind[];
}

/** All that a miner learnt, as plain data, for another thread, file or machine. */
export interface TemplateMinerState {
  templates: {
    /** Tokens of its keys; of those that a glob forced, the glob's number. */
    path: Token[] | number;
    count: number;
    texts: number[];
    lengths: ValueCounts[];
    stars: Kind[];
    touches: number[];
    bitmap: number[];
  }[];
}

/**
 * A trie over the tokens of keys. A node's further words become one placeholder once there are too many; what the first
 * ones are is decided by `fold`, when all is known, so that the order of keys matters little.
 */
export class TemplateMiner {
  private readonly globs: Glob[];
  private readonly scanner = new KeyScanner();
  private readonly nodes: Node[] = [
    { parent: -1, delimiters: '', kind: Kind.constant, text: '', words: 0, edges: 0, below: 0, isFull: false },
  ];
  /** Open addressing, linear probing: parent, label, child; an empty slot has child 0. At most half full. */
  private slots = new Int32Array(3 * 1024);
  private mask = 1023;
  /** Of each node: its template or -1, and how many keys begin with it. */
  private templateOf = new Int32Array(512).fill(-1);
  private keysOf = new Float64Array(512);
  private readonly templates: Template[] = [];
  private readonly templateOfGlob = new Map<number, number>();
  private touches = new Float64Array(64 * TOUCH_GROUPS);
  private bitmaps = new Uint32Array(64 * BITMAP_WORDS);

  /** `globs`: keys that match one are a family, whatever they look like; the first match counts. */
  constructor(globs: string[] = []) {
    this.globs = globs.map((glob) => new Glob(glob));
  }

  /** Number of the template of the key `bytes[start..end)`. Call it for each distinct key; a key may come again. */
  add(bytes: Uint8Array, start: number, end: number): number {
    const { scanner } = this;
    for (let g = 0; g < this.globs.length; g++) {
      const spans = this.globs[g]!.spans(bytes, start, end);
      if (spans) return this.addForced(g, bytes, spans);
    }
    scanner.scan(bytes, start, end);
    const template = this.locate(bytes, start, end);
    const known = this.templates[template]!;
    known.count++;
    this.mark(template, scanner.hash);
    if (known.count > EVERY_KEY && known.count % EVERY !== 0) return template;
    const weight = known.count > EVERY_KEY ? EVERY : 1;
    let placeholder = 0;
    for (let i = 0; i < scanner.count; i++) {
      if (scanner.kinds[i] === Kind.constant) continue;
      const from = scanner.starts[i]!;
      const length = scanner.ends[i]! - from;
      this.noteText(known, placeholder, length <= SHORT_BYTES ? pack(bytes, from, length) : VARIES);
      known.lengths[placeholder++]!.add(length, weight);
    }
    return template;
  }

  /** Notes an access of a key of the template by a command of that group, see `touchGroup`. */
  touch(template: number, group: number): void {
    this.touches[template * TOUCH_GROUPS + group]!++;
  }

  /** Families, the busiest first; call it when all keys are known. */
  fold(): Families {
    return foldTemplates(this.templates.map((template, number) => this.shape(template, number)));
  }

  /** What this miner knows, to be merged into another with the same globs. */
  state(): TemplateMinerState {
    return {
      templates: this.templates.map(({ node, count, texts, lengths, stars }, number) => ({
        path: node < 0 ? -1 - node : this.path(node),
        ...{ count, texts: [...texts], lengths: lengths.map((one) => one.entries()), stars: [...stars] },
        touches: [...this.touchesOf(number)],
        bitmap: [...this.bitmapOf(number)],
      })),
    };
  }

  /** Adds what another miner with the same globs learnt; element i is our number of its template i. */
  merge(other: TemplateMinerState): Uint32Array {
    return Uint32Array.from(other.templates, (theirs) => {
      let ours: number;
      let lengths = theirs.lengths;
      let { texts } = theirs;
      if (typeof theirs.path === 'number') ours = this.templateOfForced(theirs.path);
      else {
        const { path, count } = theirs;
        const text = Buffer.from(path.map((token) => token.delimiters + token.text).join(''), 'latin1');
        this.scanner.load(path);
        ours = this.locate(text, 0, text.length, count);
        // Words that have no place of their own here stand at a placeholder now.
        const spans = this.spans(path.length);
        lengths = spans.map(([from, to]) => spanLengths(path, theirs.lengths, count, from, to).entries());
        texts = spans.map(([from, to]) => {
          const token = path[from]!;
          if (to > from + 1 || token.kind === Kind.constant) return VARIES;
          return theirs.texts[placeholdersBefore(path, from)]!;
        });
      }
      const known = this.templates[ours]!;
      known.count += theirs.count;
      for (const [i, entries] of lengths.entries()) {
        known.lengths[i]!.addAll(ValueHistogram.from(entries));
        this.noteText(known, i, texts[i]!);
      }
      for (const [star, kind] of theirs.stars.entries()) noteStar(known, star, kind);
      theirs.touches.forEach((n, group) => {
        this.touches[ours * TOUCH_GROUPS + group]! += n;
      });
      theirs.bitmap.forEach((word, w) => {
        this.bitmaps[ours * BITMAP_WORDS + w]! |= word;
      });
      return ours;
    });
  }

  /** Template of the key that the scanner holds, made if it is new; the scanner then has the tokens that it was taken for. */
  private locate(bytes: Uint8Array, start: number, end: number, keys = 1): number {
    const { scanner } = this;
    let node = ROOT;
    for (let i = 0; i < scanner.count; i++) {
      const known = this.child(node, scanner.labels[i]!);
      if (known !== 0) node = known;
      else [node, i] = this.step(node, i, bytes, end);
      this.keysOf[node]! += keys;
    }
    const template = this.templateOf[node]!;
    if (template >= 0) return template;
    if (this.templates.length < MAX_TEMPLATES) return this.newTemplate(node, scanner.placeholders());
    scanner.takeRest(0, start, end);
    const rest = this.child(ROOT, REST_LABEL) || this.newNode(ROOT, REST_LABEL, REST);
    return this.templateOf[rest]! >= 0 ? this.templateOf[rest]! : this.newTemplate(rest, 1);
  }

  private child(node: number, label: number): number {
    const { slots, mask } = this;
    let slot = slotOf(node, label) & mask;
    for (;;) {
      const child = slots[3 * slot + 2]!;
      if (child === 0 || (slots[3 * slot] === node && slots[3 * slot + 1] === label)) return child;
      slot = (slot + 1) & mask;
    }
  }

  /**
   * The way on from a node that has none yet for token i: a new one, the one for further words, or one for whatever comes.
   * With it, the index of the token that it is for: earlier than i if tokens were joined.
   */
  private step(node: number, i: number, bytes: Uint8Array, end: number): [node: number, token: number] {
    const { scanner } = this;
    for (let at = node, depth = i; at !== ROOT; at = this.nodes[at]!.parent, depth--) {
      const above = this.nodes[at]!;
      above.isFull ||= above.below >= MANY_BELOW && above.below > this.keysOf[at]!;
      if (!above.isFull || !scanner.takeRun(depth, bytes)) continue;
      return [this.child(at, scanner.labels[depth]!) || this.grow(at, depth, bytes, end), depth];
    }
    const { words } = this.nodes[node]!;
    const isWord = scanner.kinds[i] === Kind.constant && scanner.ends[i]! > scanner.starts[i]!;
    if (isWord && words >= (node === ROOT ? MAX_FIRST_WORDS : MAX_WORDS)) {
      scanner.takeWord(i);
      const known = this.child(node, scanner.labels[i]!);
      if (known !== 0) return [known, i];
    }
    return [this.grow(node, i, bytes, end), i];
  }

  /** A new node for token i, or the one for any rest if there are too many. */
  private grow(node: number, i: number, bytes: Uint8Array, end: number): number {
    const { scanner } = this;
    const from = scanner.froms[i]!;
    if (this.nodes[node]!.edges >= MAX_EDGES || this.nodes.length >= MAX_NODES) {
      scanner.takeRest(i, from, end);
      return this.child(node, REST_LABEL) || this.newNode(node, REST_LABEL, REST);
    }
    const start = scanner.starts[i]!;
    const kind = scanner.kinds[i] as Kind;
    const latin1 = (a: number, b: number) => Buffer.from(bytes.buffer, bytes.byteOffset + a, b - a).toString('latin1');
    const text = kind === Kind.constant ? latin1(start, scanner.ends[i]!) : '';
    return this.newNode(node, scanner.labels[i]!, { delimiters: latin1(from, start), kind, text });
  }

  private newNode(parent: number, label: number, token: Token): number {
    const above = this.nodes[parent]!;
    above.edges++;
    if (token.text !== '') above.words++;
    const node = this.nodes.push({ ...token, parent, words: 0, edges: 0, below: 0, isFull: false }) - 1;
    for (let at = parent; at !== -1; at = this.nodes[at]!.parent) this.nodes[at]!.below++;
    if (this.nodes.length * 2 > this.mask) {
      const old = this.slots;
      this.mask = this.mask * 2 + 1;
      this.slots = new Int32Array(old.length * 2);
      for (let at = 0; at < old.length; at += 3)
        if (old[at + 2] !== 0) this.place(old[at]!, old[at + 1]!, old[at + 2]!);
    }
    this.place(parent, label, node);
    if (node >= this.templateOf.length) {
      const wider = new Int32Array(this.templateOf.length * 2).fill(-1);
      wider.set(this.templateOf);
      this.templateOf = wider;
      const keysOf = new Float64Array(wider.length);
      keysOf.set(this.keysOf);
      this.keysOf = keysOf;
    }
    return node;
  }

  private place(node: number, label: number, child: number): void {
    let slot = slotOf(node, label) & this.mask;
    while (this.slots[3 * slot + 2] !== 0) slot = (slot + 1) & this.mask;
    this.slots.set([node, label, child], 3 * slot);
  }

  /** A template whose keys end at the node, or were forced by a glob; with so many placeholders. */
  private newTemplate(node: number, placeholders: number): number {
    const template = this.templates.length;
    this.templates.push({
      ...{ node, count: 0, texts: new Array<number>(placeholders).fill(NONE), stars: [] },
      lengths: Array.from({ length: placeholders }, () => new ValueHistogram()),
    });
    if (node >= 0) this.templateOf[node] = template;
    if ((template + 1) * TOUCH_GROUPS > this.touches.length) {
      const touches = new Float64Array(this.touches.length * 2);
      touches.set(this.touches);
      this.touches = touches;
      const bitmaps = new Uint32Array(this.bitmaps.length * 2);
      bitmaps.set(this.bitmaps);
      this.bitmaps = bitmaps;
    }
    return template;
  }

  private addForced(glob: number, bytes: Uint8Array, spans: [number, number][]): number {
    const template = this.templateOfForced(glob);
    const known = this.templates[template]!;
    known.count++;
    let hash = 0;
    spans.forEach(([from, to], star) => {
      this.scanner.scan(bytes, from, to);
      hash = Math.imul(hash ^ this.scanner.hash, 0x01000193);
      known.lengths[star]!.add(to - from);
      if (to > from) noteStar(known, star, this.scanner.kind());
    });
    this.mark(template, hash);
    return template;
  }

  private templateOfForced(glob: number): number {
    const known = this.templateOfGlob.get(glob);
    if (known !== undefined) return known;
    const template = this.newTemplate(-1 - glob, this.globs[glob]!.pieces.length - 1);
    this.templateOfGlob.set(glob, template);
    return template;
  }

  /** A key's hash sets one bit: linear counting. */
  private mark(template: number, hash: number): void {
    const bit = (hash ^ (hash >>> 15)) & (32 * BITMAP_WORDS - 1);
    this.bitmaps[template * BITMAP_WORDS + (bit >>> 5)]! |= 1 << (bit & 31);
  }

  private noteText(template: Template, placeholder: number, text: number): void {
    const known = template.texts[placeholder]!;
    if (known !== text && text !== NONE) template.texts[placeholder] = known === NONE ? text : VARIES;
  }

  /** Ranges of a loaded path of so many tokens that the scanner's placeholders stand for. */
  private spans(tokens: number): [from: number, to: number][] {
    const { count, kinds, origins } = this.scanner;
    const spans: [number, number][] = [];
    for (let i = 0; i < count; i++)
      if (kinds[i] !== Kind.constant) spans.push([origins[i]!, i === count - 1 ? tokens : origins[i + 1]!]);
    return spans;
  }

  private path(node: number): Token[] {
    const path: Token[] = [];
    for (let at = node; at !== ROOT; at = this.nodes[at]!.parent) {
      const { delimiters, kind, text } = this.nodes[at]!;
      path.push({ delimiters, kind, text });
    }
    return path.reverse();
  }

  private shape({ node, count, texts, lengths, stars }: Template, number: number): Shape {
    const touches = this.touchesOf(number);
    // Keys that nobody touched, but that are there, count as often as they came.
    const accesses = Math.max(
      count,
      touches.reduce((sum, n) => sum + n, 0),
    );
    const keys = Math.min(count, distinctOf(this.bitmapOf(number)));
    const counted = { keys, accesses, touches, lengths: lengths.map((one) => one.entries()) };
    if (node < 0) return { ...counted, forced: this.forced(-1 - node, stars), tokens: [], texts: [] };
    return { ...counted, tokens: this.path(node), texts: texts.map(unpack) };
  }

  private forced(glob: number, stars: Kind[]): Token[] {
    return this.globs[glob]!.pieces.flatMap((piece, p): Token[] => [
      ...(p > 0 ? [{ delimiters: '', kind: stars[p - 1] ?? Kind.id, text: '' }] : []),
      ...(piece === '' ? [] : [{ delimiters: '', kind: Kind.constant, text: Buffer.from(piece).toString('latin1') }]),
    ]);
  }

  private touchesOf(template: number): Float64Array {
    return this.touches.subarray(template * TOUCH_GROUPS, (template + 1) * TOUCH_GROUPS);
  }

  private bitmapOf(template: number): Uint32Array {
    return this.bitmaps.subarray(template * BITMAP_WORDS, (template + 1) * BITMAP_WORDS);
  }
}

const REST: Token = { delimiters: '', kind: Kind.id, text: '' };
const REST_LABEL = labelOf(Kind.id, EMPTY_HASH);

/** MurmurHash3's last steps: labels of one node differ in few bits. */
function slotOf(node: number, label: number): number {
  let h = label ^ Math.imul(node, 0x9e3779b1);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  return h ^ (h >>> 13);
}

/** Up to three bytes and their number in one number. */
function pack(bytes: Uint8Array, from: number, length: number): number {
  let packed = length;
  for (let i = 0; i < length; i++) packed |= bytes[from + i]! << (8 * (i + 1));
  // The third byte is ASCII in tokens, or the number would be negative: such texts are left alone.
  return packed < 0 ? VARIES : packed;
}

/** The text that all keys have, if there is one; latin1. */
function unpack(packed: number): string | undefined {
  if (packed < 0) return undefined;
  return String.fromCharCode(...Array.from({ length: packed & 0xff }, (_, i) => (packed >>> (8 * (i + 1))) & 0xff));
}

function noteStar(template: Template, star: number, kind: Kind): void {
  const known = template.stars[star] ?? kind;
  const numbers = (a: Kind, b: Kind) => a === Kind.int && b === Kind.hex;
  if (known === kind || numbers(kind, known)) template.stars[star] = known;
  else template.stars[star] = numbers(known, kind) ? Kind.hex : Kind.id;
}

/** Linear counting: −m ln(share of zero bits), m bits (Whang et al. 1990); infinite if all are set. */
function distinctOf(bitmap: Uint32Array): number {
  let zeros = 0;
  for (const word of bitmap) for (let bit = 0; bit < 32; bit++) if (((word >>> bit) & 1) === 0) zeros++;
  const m = 32 * bitmap.length;
  return zeros === 0 ? Number.POSITIVE_INFINITY : Math.max(1, Math.round(-m * Math.log(zeros / m)));
}
