/** When the calls of a stretch came + how many calls there were by the second → when they come, over and over. */

/** Calls of the whole capture, as many as there were or about so many, per bin. */
interface CallCurve {
  binSeconds: number;
  units: readonly number[];
  spanSeconds: number;
}

/**
 * The first time over, calls come when they did: a job is due when its delay is over. What follows beyond the stretch
 * comes as often as the capture had calls at that time, and else as far apart as it did. So times are kept as positions
 * among all calls of the capture, p = Λ(t), and found again as t = Λ⁻¹(p); both begin anew where the capture ends.
 */
export class CallArrivals {
  /** Seconds from the beginning of the next call. */
  nextSeconds = 0;
  private readonly positions: Float64Array;
  /** Calls before each bin, and in all. */
  private readonly before: number[];
  private readonly binSeconds: number;
  private readonly spanSeconds: number;
  private readonly speed: number;
  private calls = 0;

  /** `atUs`: of each call of the stretch, in order. `speed`: in captured ones. */
  constructor(atUs: readonly number[], { binSeconds, units, spanSeconds }: CallCurve, speed: number) {
    this.binSeconds = binSeconds;
    this.spanSeconds = spanSeconds;
    this.speed = speed;
    this.before = [0];
    for (const [bin, n] of units.entries()) this.before.push(this.before[bin]! + n);
    const positions = Float64Array.from(atUs, (us) => this.positionOf(us / 1e6));
    // Calls that are not kept leave no holes: there are as many as there were.
    const scale = Math.min(1, atUs.length / positions.at(-1)!);
    this.positions = positions.map((position) => position * scale);
    this.find();
  }

  /** Goes to the next call. */
  advance(): void {
    this.calls++;
    this.find();
  }

  private find(): void {
    const { positions, before, calls } = this;
    const [all, length] = [before.at(-1)!, positions.length];
    const position = Math.floor(calls / length) * length + positions[calls % length]!;
    const times = Math.floor(position / all);
    this.nextSeconds = (times * this.spanSeconds + this.secondsAt(position - times * all)) / this.speed;
  }

  private positionOf(seconds: number): number {
    const bin = Math.min(this.before.length - 2, Math.floor(seconds / this.binSeconds));
    const share = Math.min(1, (seconds - bin * this.binSeconds) / this.widthOf(bin));
    return this.before[bin]! + share * this.callsIn(bin);
  }

  private secondsAt(position: number): number {
    const { before } = this;
    let [low, high] = [0, before.length - 2];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (before[middle + 1]! <= position) low = middle + 1;
      else high = middle;
    }
    const share = (position - before[low]!) / Math.max(Number.MIN_VALUE, this.callsIn(low));
    return low * this.binSeconds + share * this.widthOf(low);
  }

  private callsIn(bin: number): number {
    return this.before[bin + 1]! - this.before[bin]!;
  }

  /** The last bin is whatever the capture's end left of it. */
  private widthOf(bin: number): number {
    return Math.max(1e-6, Math.min(this.binSeconds, this.spanSeconds - bin * this.binSeconds));
  }
}
