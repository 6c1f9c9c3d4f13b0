/** Packages of other people that hold Lua → their files on disk, fetched from npm once and kept below node_modules/.cache. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../support/cli.ts';

/** A folder with one folder per package; throws what npm says where they cannot be had. */
export function corpusFolder(): string {
  const manifest = readFileSync(join(import.meta.dirname, 'corpus/package.json'), 'utf8');
  const cache = join(root, 'node_modules/.cache');
  const folder = join(cache, `cutover-lint-corpus-${createHash('sha256').update(manifest).digest('hex').slice(0, 12)}`);
  if (existsSync(folder)) return folder;
  mkdirSync(cache, { recursive: true });
  const fresh = mkdtempSync(join(cache, 'cutover-lint-corpus-new-'));
  try {
    const { dependencies } = JSON.parse(manifest) as { dependencies: Record<string, string> };
    const packages = Object.entries(dependencies).map(([name, version]) => `${name}@${version}`);
    // Packed, not installed: neither their dependencies nor their scripts are wanted.
    execFileSync('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', fresh, ...packages], {
      cwd: fresh,
    });
    for (const archive of readdirSync(fresh)) {
      const target = join(fresh, archive.replace(/\.tgz$/, ''));
      mkdirSync(target);
      execFileSync('tar', ['xzf', join(fresh, archive), '-C', target, '--strip-components=1', '--no-same-owner']);
      rmSync(join(fresh, archive));
    }
    renameSync(fresh, folder);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
  return folder;
}
