/** NAME.capture.json: where it is, how it is read and written. */
import { readFile, rename, writeFile } from 'node:fs/promises';
import type { Sidecar } from './sidecar.ts';

/** `sessions.monitor.gz` has its sidecar in `sessions.capture.json`. */
export function sidecarPath(capture: string): string {
  return capture.replace(/(\.(monitor|log|txt))?(\.(gz|zst))?$/, '.capture.json');
}

/** The sidecar of a capture; undefined where there is none of this schema: it only adds. */
export async function readSidecar(capture: string): Promise<Sidecar | undefined> {
  try {
    const text = await readFile(sidecarPath(capture), 'utf8');
    // Most captures have none, and zod takes as much memory as all that reads them.
    const { sidecarSchema } = await import('./sidecar.ts');
    return sidecarSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

/** Written whole or not at all: a recorder that is killed leaves the state after its last burst. */
export async function writeSidecar(capture: string, sidecar: Sidecar): Promise<void> {
  const path = sidecarPath(capture);
  await writeFile(`${path}.part`, `${JSON.stringify(sidecar)}\n`, { mode: 0o600 });
  await rename(`${path}.part`, path);
}
