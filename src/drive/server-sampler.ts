/** A running server → its INFO each second, as NDJSON, for as long as it is watched. */
import { serverSampleLine } from '../measure/server-samples.ts';
import type { RunningServer } from '../servers/server.ts';

const EVERY_MS = 1000;

export class ServerSampler implements Disposable {
  /** The lines so far. */
  text = '';
  readonly #timer: NodeJS.Timeout;
  #isAsking = false;

  constructor(server: RunningServer) {
    const ask = async () => {
      // A server that does not answer within a second is not asked twice at once; one that died says so elsewhere.
      if (this.#isAsking) return;
      this.#isAsking = true;
      const info = await server.info().catch(() => undefined);
      this.#isAsking = false;
      if (info) this.text += serverSampleLine(info, Date.now());
    };
    void ask();
    this.#timer = setInterval(ask, EVERY_MS);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
