/** A folder of its own for each caller, gone when the test process ends. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

let root: string | undefined;

export function temporaryFolder(): string {
  if (!root) {
    const made = mkdtempSync(join(tmpdir(), 'cutover-test-'));
    process.on('exit', () => rmSync(made, { recursive: true, force: true }));
    root = made;
  }
  return mkdtempSync(join(root, '-'));
}
