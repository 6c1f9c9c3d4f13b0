/** What `npm run build` makes does as the sources do, its threads too, which are files of another make. */
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { buildModel } from '../../src/model/build.ts';
import { temporaryFile } from '../support/capture.ts';
import { cutover, root } from '../support/cli.ts';

test('built commands and threads say what the sources say', async () => {
  execFileSync('npm', ['run', 'build'], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });
  const capture = join(root, 'captures/sessions.monitor.gz');
  const [built, source] = await Promise.all([
    promisify(execFile)(process.execPath, [join(root, 'bin/run.js'), 'model', capture], {
      env: { ...process.env, NO_COLOR: '1' },
    }),
    cutover(['model', capture]),
  ]);
  assert.match(built.stdout, /hit ratios, mean error/);
  assert.equal(built.stdout, source.stdout);

  const plain = temporaryFile('capture.log', gunzipSync(readFileSync(capture)));
  const modules: typeof import('../../src/model/build.ts') = await import(join(root, 'dist/src/model/build.js'));
  const minStretchBytes = 1 << 20;
  const [threaded, expected] = await Promise.all([
    modules.buildModel(plain, { minStretchBytes }),
    buildModel(plain, { minStretchBytes }),
  ]);
  assert.equal(threaded.halves?.length, 2);
  assert.deepEqual(threaded.model, expected.model);
});
