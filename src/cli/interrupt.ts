/** Ctrl-C and SIGTERM → an AbortSignal, so that a run ends in order; a second one ends at once. */
import { EXIT_CODES } from '../errors.ts';

export function interruptSignal(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      // Servers that we started end with us: their providers see to that when the process exits.
      if (controller.signal.aborted) process.exit(EXIT_CODES.interrupted.code);
      controller.abort(new Error(name));
    });
  }
  return controller.signal;
}
