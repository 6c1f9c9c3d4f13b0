/** A server that ended during a run → the error that says which, when and what its log had to say. */
import { CutoverError } from '../errors.ts';
import type { Arm } from '../measure/rehearsal.ts';
import type { RunningServer, ServerExit } from '../servers/server.ts';

export class ServerDied extends Error {
  private readonly arm: Arm;
  private readonly server: RunningServer;
  private readonly tail: string[];

  constructor(arm: Arm, server: RunningServer, exit: ServerExit, when: string, tail: string[]) {
    super(
      `the ${arm} (${server.identity.spec}, ${server.identity.product} ${server.identity.version}) died ${when}: ${exit.how} at ${new Date(exit.atMs).toISOString()}`,
    );
    this.arm = arm;
    this.server = server;
    this.tail = tail;
  }

  async explain(): Promise<CutoverError> {
    const log = this.tail.length > 0 ? `\nIts log ended with:\n${this.tail.map((line) => `  ${line}`).join('\n')}` : '';
    return new CutoverError('cannotRun', 'E_SERVER_DIED', `${this.message.replace(/^t/, 'T')}.${log}`, [
      this.server.ours
        ? `Find out why the ${this.arm} ended (memory? a crash report above?), then run again.`
        : `Look into the log of the ${this.arm}, which someone else runs.`,
    ]);
  }
}
