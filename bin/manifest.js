// Writes oclif.manifest.json, with which the published command loads one command's code instead of all (a third of its memory).
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Config } from '@oclif/core';

const root = join(import.meta.dirname, '..');
const config = new Config({ root, ignoreManifest: true });
await config.load();
writeFileSync(join(root, 'oclif.manifest.json'), `${JSON.stringify(config.plugins.get('cutover').manifest)}\n`);
