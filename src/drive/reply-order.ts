/** Turns the order in which one connection was sent ops into the op that each next reply belongs to. */

export class ReplyOrder {
  /** Replies that are still to come. */
  pending = 0;
  /** The next reply is this op's, but for `again`. */
  #next = 0;
  #sent = 0;
  /** Ops that were sent once more, each after the ops before `after`; in that order. */
  readonly #again: { op: number; after: number }[] = [];

  /** Ops `from … to − 1` were sent. */
  sent(from: number, to: number): void {
    if (this.pending === 0) this.#next = from;
    this.#sent = to;
    this.pending += to - from;
  }

  /** Op `op`, which had a reply, was sent again in another form. */
  sentAgain(op: number): void {
    this.#again.push({ op, after: this.#sent });
    this.pending++;
  }

  /** A reply came: which op's? There must be one pending. */
  take(): number {
    this.pending--;
    return this.#again[0]?.after === this.#next ? this.#again.shift()!.op : this.#next++;
  }
}
