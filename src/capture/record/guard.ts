/** MONITOR connections → a watchdog process beside this one that ends them when this one cannot. */
import { spawn } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Endpoint } from './connection.ts';

export interface Target {
  /** Number of the node, as the watchdog's messages name it. */
  node: number;
  endpoint: Endpoint;
  clientId: number;
  /** The server may buffer so much for the connection, not more. */
  maxBufferBytes: number;
}

/** Every message is a sign of life; `beat` is nothing else. */
export type ToWatchdog = { kind: 'watch'; targets: Target[] } | { kind: 'beat' };
export type FromWatchdog =
  | { kind: 'watching' }
  | { kind: 'killed'; node: number; why: 'silence' | 'buffer'; bufferedBytes: number }
  | { kind: 'failed'; message: string };

const BEAT_MS = 200;
const START_TIMEOUT_MS = 15_000;

export interface Guard extends AsyncDisposable {
  /** What it did or suffered, in the order it happened. `failed` also when it died. */
  onReport: (report: Exclude<FromWatchdog, { kind: 'watching' }>) => void;
}

/** Starts the watchdog and waits until it watches all targets. Throws what kept it from that. */
export async function startGuard(targets: Target[]): Promise<Guard> {
  const file = fileURLToPath(new URL(`./watchdog${extname(import.meta.filename)}`, import.meta.url));
  const child = spawn(process.execPath, [file], {
    // A session of its own: what suspends or closes the terminal stops the reader, and must not stop its watchdog.
    detached: true,
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    // Our variables may hold a URL with a password; the watchdog gets credentials by message.
    env: Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('CUTOVER_'))),
  });
  let closing = false;
  const { promise: watching, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(() => reject(new Error('it did not start in time')), START_TIMEOUT_MS);
  const guard: Guard = {
    onReport: () => {},
    async [Symbol.asyncDispose]() {
      closing = true;
      clearInterval(beating);
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exited = new Promise((done) => child.once('exit', done));
      if (child.connected) child.disconnect();
      await exited;
    },
  };
  child.on('message', (message: FromWatchdog) => {
    if (message.kind === 'watching') resolve();
    else {
      if (message.kind === 'failed') reject(new Error(message.message));
      guard.onReport(message);
    }
  });
  const died = (how: string) => {
    reject(new Error(how));
    if (!closing) guard.onReport({ kind: 'failed', message: how });
  };
  child.on('error', (error) => died(error.message));
  child.on('exit', (code, signal) =>
    died(signal === null ? `it ended with code ${code}` : `it was ended by ${signal}`),
  );
  const send = (message: ToWatchdog) => {
    // It may die between the check and the write; its end is reported by the event.
    if (child.connected) child.send(message, () => {});
  };
  send({ kind: 'watch', targets });
  const beating = setInterval(() => send({ kind: 'beat' }), BEAT_MS);
  try {
    await watching;
    return guard;
  } catch (error) {
    await guard[Symbol.asyncDispose]();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
