/**
 * A process of its own that ends a MONITOR connection from outside when the reader no longer beats, or when the server
 * has to buffer for it. It hears from the reader by IPC only, and is deaf to the terminal: see `guard.ts`.
 */
import { messageOf } from '../../errors.ts';
import { type Control, openControl } from './connection.ts';
import type { FromWatchdog, Target, ToWatchdog } from './guard.ts';

const POLL_MS = 50;
/** Where only the list of all clients can be had, which takes the server longer. */
const POLL_ALL_MS = 250;
/** A reader that is silent for so long is stopped, not busy. */
const SILENCE_MS = 3000;

const say = (message: FromWatchdog) => {
  if (process.connected) process.send!(message);
};
const beat = { atMs: performance.now() };
const watched: { target: Target; control: Control }[] = [];

process.on('message', (message: ToWatchdog) => {
  beat.atMs = performance.now();
  if (message.kind === 'watch') {
    void begin(message.targets).catch((error: unknown) => {
      say({ kind: 'failed', message: messageOf(error) });
      process.disconnect?.();
    });
  }
});
// The reader is gone, or done. Its connections are gone with it, but killing what is gone does no harm.
process.on('disconnect', () => void killAll().finally(() => process.exit(0)));

async function begin(targets: Target[]): Promise<void> {
  for (const target of targets) {
    const control = await openControl(target.endpoint);
    watched.push({ target, control });
    void control.lost.then((reason) => {
      say({ kind: 'failed', message: reason });
      process.disconnect?.();
    });
  }
  for (const { target, control } of watched) void watch(target, control);
  say({ kind: 'watching' });
}

/** Asks again and again until there is a reason to end the connection. */
async function watch(target: Target, control: Control): Promise<void> {
  let pollMs = POLL_MS;
  for (;;) {
    let listed = pollMs === POLL_MS ? await control.ask('CLIENT', 'LIST', 'ID', `${target.clientId}`) : undefined;
    if (typeof listed !== 'string') {
      pollMs = POLL_ALL_MS;
      listed = await control.ask('CLIENT', 'LIST');
    }
    const buffered = bufferedBytes(String(listed ?? ''), target.clientId);
    const silentMs = performance.now() - beat.atMs;
    if (buffered > target.maxBufferBytes) {
      await kill({ target, control });
      say({ kind: 'killed', node: target.node, why: 'buffer', bufferedBytes: buffered });
      return;
    }
    if (silentMs > SILENCE_MS) {
      await kill({ target, control });
      say({ kind: 'killed', node: target.node, why: 'silence', bufferedBytes: buffered });
      return;
    }
    await new Promise((done) => setTimeout(done, pollMs));
  }
}

/** Bytes that wait in the server for one client; 0 if it is not in the list. */
function bufferedBytes(list: string, clientId: number): number {
  const line = list.split('\n').find((text) => text.startsWith(`id=${clientId} `));
  return Number(/ omem=(\d+)/.exec(line ?? '')?.[1] ?? 0);
}

async function kill({ target, control }: { target: Target; control: Control }): Promise<void> {
  await control.ask('CLIENT', 'KILL', 'ID', `${target.clientId}`);
}

async function killAll(): Promise<void> {
  await Promise.allSettled(watched.map(kill));
}
