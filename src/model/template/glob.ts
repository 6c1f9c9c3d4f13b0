/** A glob → whether a text matches, and what stood at each of its stars: `*` is any text, everything else itself. */

export class Glob {
  readonly text: string;
  /** The constants before, between and behind the stars. */
  readonly pieces: string[];
  private readonly bytes: Uint8Array[];

  constructor(text: string) {
    this.text = text;
    this.pieces = text.split(/\*+/);
    this.bytes = this.pieces.map((piece) => Buffer.from(piece));
  }

  matches(text: string): boolean {
    const bytes = Buffer.from(text);
    return this.spans(bytes, 0, bytes.length) !== undefined;
  }

  /** For each star where its text begins and ends, each as short as can be but the last; undefined without a match. */
  spans(bytes: Uint8Array, start: number, end: number): [from: number, to: number][] | undefined {
    const { bytes: pieces } = this;
    const head = pieces[0]!;
    const tail = pieces.at(-1)!;
    if (!stands(head, bytes, start, end)) return undefined;
    if (pieces.length === 1) return end - start === head.length ? [] : undefined;
    const tailFrom = end - tail.length;
    let from = start + head.length;
    if (tailFrom < from || !stands(tail, bytes, tailFrom, end)) return undefined;
    const spans: [number, number][] = [];
    for (let p = 1; p < pieces.length - 1; p++) {
      const piece = pieces[p]!;
      let to = from;
      while (to + piece.length <= tailFrom && !stands(piece, bytes, to, tailFrom)) to++;
      if (to + piece.length > tailFrom) return undefined;
      spans.push([from, to]);
      from = to + piece.length;
    }
    spans.push([from, tailFrom]);
    return spans;
  }
}

function stands(piece: Uint8Array, bytes: Uint8Array, at: number, end: number): boolean {
  if (at + piece.length > end) return false;
  for (let i = 0; i < piece.length; i++) if (piece[i] !== bytes[at + i]) return false;
  return true;
}
