/** A run on a real terminal: it draws, and whatever ends it, the terminal is left as it was. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { root } from '../support/cli.ts';
import { temporaryFolder } from '../support/temporary.ts';

const HIDE_CURSOR = '\u001b[?25l';
const SHOW_CURSOR = '\u001b[?25h';

test('Ctrl-C in the middle of the live view: cursor shown, nothing left of it, no colour with NO_COLOR', async () => {
  const folder = join(temporaryFolder(), 'rehearsal');
  const words = [process.execPath, join(root, 'bin/dev.js'), 'run', join(root, 'captures/sessions.monitor.gz')];
  const options = `--rounds 9 --slice 500ms --warmup 100ms -b process:redis-server -c process:redis-server -o ${folder}`;
  // `script` gives it a terminal of its own.
  const terminal = spawn('script', ['-qec', `${words.join(' ')} ${options}`, '/dev/null'], {
    env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: undefined },
  });
  let text = '';
  let interrupted = false;
  terminal.stdout.on('data', (chunk: Buffer) => {
    text += chunk;
    if (interrupted || !/slice 2 of 4, candidate|slice 2 of 4, baseline/.test(text)) return;
    interrupted = true;
    terminal.stdin.write('\u0003');
  });
  const [code] = await once(terminal, 'close');
  assert.equal(code, 130, text);
  assert.match(text, /round 1 of 9: /);
  assert.match(text, /response +P50 +P99 +P99\.9/);
  assert.ok(text.includes(HIDE_CURSOR));
  assert.ok(text.lastIndexOf(SHOW_CURSOR) > text.lastIndexOf(HIDE_CURSOR), 'the cursor is shown again');
  assert.ok(!text.split('\u001b[').some((sequence) => /^[\d;]*m/.test(sequence)), 'no colour');
  const after = text.slice(text.lastIndexOf(SHOW_CURSOR) + SHOW_CURSOR.length);
  assert.match(after, /^Error: Interrupted in round 1 of 9\./);
});
