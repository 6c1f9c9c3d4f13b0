/** One quiet connection beside a thread's load → how fast the server answers a PING that no queue of ours delays. */
import { LatencyHistogram } from '../../measure/histogram.ts';
import { nowUs } from '../clock.ts';
import { encodeCommands } from '../resp-command.ts';
import type { Wire } from '../wire.ts';

const INTERVAL_US = 10_000;
const PING = encodeCommands([['PING']]);

/** Not part of the plan: its PINGs are in no count of ops. */
export class Probe {
  lost = false;
  readonly #wire: Wire;
  #histogram = LatencyHistogram.empty();
  #sentUs = Number.NaN;
  #dueUs = 0;

  constructor(wire: Wire) {
    this.#wire = wire;
    wire.onLost = () => {
      this.lost = true;
    };
    wire.onReply = (_, atUs) => {
      this.#histogram.record(atUs - this.#sentUs);
      this.#sentUs = Number.NaN;
    };
  }

  /** Sends when it is time and the last PING was answered; called as often as the thread comes round. */
  tick(elapsedUs: number): void {
    if (this.lost || elapsedUs < this.#dueUs || !Number.isNaN(this.#sentUs)) return;
    this.#dueUs = elapsedUs + INTERVAL_US;
    this.#sentUs = nowUs();
    this.#wire.write(PING);
  }

  /** The latencies since the last call, encoded. */
  take(): string {
    const encoded = this.#histogram.encode();
    this.#histogram = LatencyHistogram.empty();
    this.#dueUs = 0;
    return encoded;
  }

  destroy(): void {
    this.#wire.destroy();
  }
}
