/** A running server → what it says of a script when it compiles it, by SCRIPT LOAD, which runs nothing. */
import { CutoverError, messageOf } from '../errors.ts';
import { connect } from './control/connection.ts';
import type { RunningServer } from './server.ts';

export interface ScriptCompiler extends Disposable {
  /** The server's error, or undefined where it compiles the script; the text stays in its script cache. */
  compile(script: Buffer): Promise<string | undefined>;
}

/** Throws CutoverError (cannotRun), also from `compile`, where the server does not answer the question. */
export async function openCompiler({ address, identity }: RunningServer): Promise<ScriptCompiler> {
  const refuse = (reason: string) =>
    new CutoverError('cannotRun', 'E_SCRIPT_LOAD', `${identity.spec} cannot be asked about scripts: ${reason}.`, [
      'Its user needs the command SCRIPT LOAD: ACL SETUSER NAME +script|load.',
    ]);
  const connection = await connect(address).catch((error) => {
    throw refuse(messageOf(error));
  });
  return {
    async compile(script) {
      try {
        return await connection.compile(script);
      } catch (error) {
        throw refuse(messageOf(error));
      }
    },
    [Symbol.dispose]: connection.close,
  };
}
