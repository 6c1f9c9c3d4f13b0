/** A file that stays on this machine → the secret that keys are hashed with, the same for every capture. */
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { CutoverError, messageOf } from '../../errors.ts';

const SECRET_BYTES = 32;

/** `$XDG_CONFIG_HOME/cutover/capture.key`, or the same under `~/.config`. */
export function defaultSecretPath(): string {
  return join(process.env.XDG_CONFIG_HOME || join(homedir(), '.config'), 'cutover', 'capture.key');
}

/** Made at first use, readable by its owner only. Throws CutoverError (usage). */
export async function readSecret(path: string): Promise<Buffer> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await writeFile(path, `${randomBytes(SECRET_BYTES).toString('hex')}\n`, { flag: 'wx', mode: 0o600 }).catch(
      (error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error;
      },
    );
    const secret = Buffer.from((await readFile(path, 'utf8')).trim());
    if (secret.length >= SECRET_BYTES) return secret;
    throw new Error(`it holds fewer than ${SECRET_BYTES} characters`);
  } catch (error) {
    throw new CutoverError('usage', 'E_KEY_FILE', `Cannot use the key file ${path}: ${messageOf(error)}.`, [
      'Name a file that can be written, or that holds a secret: --key-file ~/.cutover.key',
    ]);
  }
}
