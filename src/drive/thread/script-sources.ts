/** Turns a call of a script by its hash into the call with its source, for a server that does not know the hash. */
import { createHash } from 'node:crypto';
import type { Plan } from '../../plan/plan.ts';
import { asBytes, decodeCommand, encodeCommands } from '../resp-command.ts';

export class ScriptSources {
  readonly #bySha1: Map<string, Uint8Array>;

  constructor(scripts: Plan['scripts']) {
    this.#bySha1 = new Map(
      scripts.flatMap(({ kind, body }) =>
        kind === 'script' ? [[createHash('sha1').update(body).digest('hex'), body]] : [],
      ),
    );
  }

  /** EVALSHA as EVAL, EVALSHA_RO as EVAL_RO, as client libraries do after NOSCRIPT; undefined for an unknown source. */
  inFull(command: Uint8Array): Uint8Array | undefined {
    const [name, sha1, ...rest] = decodeCommand(
      Buffer.from(command.buffer, command.byteOffset, command.length),
      0,
      asBytes,
    );
    const eval_ = { evalsha: 'EVAL', evalsha_ro: 'EVAL_RO' }[name!.toString('latin1').toLowerCase()];
    const source = sha1 && this.#bySha1.get(sha1.toString('latin1').toLowerCase());
    return eval_ && source ? encodeCommands([[eval_, source, ...rest]]) : undefined;
  }
}
