/** Captures of several nodes, taken at the same time → one stream of ops in the order of their times. */
import { CutoverError } from '../errors.ts';
import { Names, OpView } from './ops.ts';
import { Capture } from './read.ts';
import { type CaptureOptions, type CaptureSummary, combineSummaries } from './summary.ts';

/** What is read as a capture: one file, or those of several nodes. */
export interface Ops {
  readonly name: string;
  /** A cursor for every batch, valid until the next one. Throws CutoverError (usage). */
  batches(): AsyncGenerator<OpView>;
  /** What a client's number stands for. */
  client(clientId: number): string;
  /** Valid after the last batch. */
  summary(): CaptureSummary;
}

/** One capture, or one for each node of a cluster. Throws CutoverError (usage). */
export function openCaptures(names: string[], options: CaptureOptions = {}): Ops {
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) {
    throw new CutoverError('usage', 'E_CAPTURE_TWICE', `${twice} is given twice.`, 'Name each capture once.');
  }
  return names.length === 1 ? new Capture(names[0]!, options) : new MergedCapture(names, options);
}

class MergedCapture implements Ops {
  readonly name: string;
  private readonly captures: Capture[];

  constructor(names: string[], options: CaptureOptions) {
    this.name = names.join(' ');
    const commands = new Names();
    this.captures = names.map((name) => new Capture(name, options, undefined, commands));
  }

  /** A client of one node is none of another: `clientId` is different even where the address is the same. */
  client(clientId: number): string {
    const nodes = this.captures.length;
    return this.captures[clientId % nodes]!.client(Math.floor(clientId / nodes));
  }

  /** A node may have nothing to do while the others work: its clients are none, its dataset counts. */
  private wasIdle(node: number, error: unknown): boolean {
    return (
      error instanceof CutoverError && error.code === 'E_CAPTURE_EMPTY' && this.captures[node]!.summary().bytes > 0
    );
  }

  summary(): CaptureSummary {
    const all = this.captures.map((capture) => ({ name: capture.name, summary: capture.summary() }));
    return combineSummaries(all.filter(({ summary }) => summary.parsed > 0));
  }

  async *batches(): AsyncGenerator<OpView> {
    const nodes = this.captures.map((capture, node) => ({
      node,
      batches: capture.batches(),
      view: undefined as OpView | undefined,
    }));
    const idle: unknown[] = [];
    const load = async (one: (typeof nodes)[number]) => {
      try {
        const item = await one.batches.next();
        one.view = item.done ? undefined : item.value;
        one.view?.next();
      } catch (error) {
        if (!this.wasIdle(one.node, error)) throw error;
        idle.push(error);
      }
    };
    try {
      for (const one of nodes) await load(one);
      if (idle.length === nodes.length) throw idle[0];
      for (;;) {
        const left = nodes.filter((one) => one.view !== undefined);
        if (left.length === 0) return;
        const merged = new MergedView(
          left.map(({ node, view }) => ({ node, view: view! })),
          nodes.length,
        );
        yield merged;
        while (merged.next());
        await load(left[merged.ended]!);
      }
    } finally {
      for (const { batches } of nodes) await batches.return(undefined);
    }
  }
}

/** Shows the earliest op of several cursors, until one of them is at its end. */
class MergedView extends OpView {
  /** Which of the cursors is at its end. */
  ended = 0;
  private readonly cursors: { node: number; view: OpView }[];
  private readonly nodes: number;
  private shown = -1;

  /** The cursors stand on their first op that was not shown yet. */
  constructor(cursors: { node: number; view: OpView }[], nodes: number) {
    super(...cursors[0]!.view.parts);
    this.cursors = cursors;
    this.nodes = nodes;
  }

  override get clientId(): number {
    return super.clientId * this.nodes + this.node;
  }

  override next(): boolean {
    const { cursors } = this;
    if (this.shown >= 0 && !cursors[this.shown]!.view.next()) {
      this.ended = this.shown;
      return false;
    }
    let first = 0;
    for (let i = 1; i < cursors.length; i++) if (cursors[i]!.view.atUs < cursors[first]!.view.atUs) first = i;
    this.shown = first;
    const { view, node } = cursors[first]!;
    this.show(view);
    this.node = node;
    return true;
  }
}
