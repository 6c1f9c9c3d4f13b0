/** Turns the order in which one connection was sent ops into the op that each next reply belongs to. */

export class ReplyOrder {
  readonly #sent: () => number;
  /** The next reply is this op's, but for `again`. */
  #next = 0;
  /** Ops that were sent once more, each after the ops before `after`; in that order. */
  readonly #again: { op: number; after: number }[] = [];

  /** `sent` tells how many of the ops have been sent by now. */
  constructor(sent: () => number) {
    this.#sent = sent;
  }

  /** Replies that are still to come. */
  get pending(): number {
    return this.#sent() - this.#next + this.#again.length;
  }

  /** Other ops, or another connection: nothing that was sent until now will be answered. */
  restart(): void {
    this.#next = this.#sent();
    this.#again.length = 0;
  }

  /** Op `op`, which had a reply, is sent again in another form, after all that has been sent. */
  sentAgain(op: number): void {
    this.#again.push({ op, after: this.#sent() });
  }

  /** A reply came: which op's? Undefined: nobody's, nothing is pending. */
  take(): number | undefined {
    if (this.#again.length > 0 && this.#again[0]!.after === this.#next) return this.#again.shift()!.op;
    return this.#next < this.#sent() ? this.#next++ : undefined;
  }
}
