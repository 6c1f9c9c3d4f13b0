/** A model → the parts of what is synthesized from it, as captured and then by independent draws: the thread of `fidelity-apart`. */
import { once } from 'node:events';
import { parentPort, workerData } from 'node:worker_threads';
import type { Model } from '../../model/model.ts';
import { partsOf } from './fidelity.ts';
import type { FidelityMessage } from './fidelity-apart.ts';

/** Bytes of parts that are made ahead. */
const MOST_WAITING = 4 << 20;

const port = parentPort!;
const say = (message: FidelityMessage, transferred: ArrayBuffer[] = []) => port.postMessage(message, transferred);

let waiting = 0;
port.on('message', (bytes: number) => {
  waiting -= bytes;
});
for (const independent of [false, true]) {
  for (const { slice, startUs } of partsOf(workerData as Model, { independent })) {
    const { count, intendedUs, connection, offset } = slice;
    // Not shared: who reads it can give the memory back at once.
    const bytes = Uint8Array.from(slice.bytes);
    say({ slice: { count, intendedUs, connection, offset, bytes }, startUs }, [bytes.buffer]);
    waiting += bytes.length;
    while (waiting > MOST_WAITING) await once(port, 'message');
  }
  say(undefined);
}
port.close();
