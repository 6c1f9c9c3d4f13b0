/** Progress on a terminal, elsewhere, and with --json: what is written, and what is left behind. */
import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { Progress } from '../../src/cli/progress.ts';

const SHOW_CURSOR = '\u001b[?25h';

function streamOf(shape: { isTTY: boolean; columns?: number; rows?: number }) {
  const through = new PassThrough();
  const stream = Object.assign(through, shape) as unknown as NodeJS.WriteStream;
  return { stream, written: () => through.read()?.toString() ?? '' };
}

test('a block is redrawn over itself, and taken away with the cursor shown again', (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: 0 });
  const { stream, written } = streamOf({ isTTY: true, columns: 80, rows: 24 });
  const progress = new Progress(false, stream);
  t.mock.timers.tick(1000);
  progress.show(['one', 'two']);
  const first = written();
  assert.ok(first.includes('one\u001b[K\ntwo\u001b[K\n'));
  assert.ok(!first.includes(`\u001b[2F`), 'nothing above it is touched');
  progress.show(['too', 'soon']);
  assert.equal(written(), '', 'not faster than anybody can read');
  t.mock.timers.tick(1000);
  progress.show(['three']);
  assert.ok(written().includes('\u001b[2Fthree\u001b[K\n\u001b[J'));
  progress.done();
  assert.equal(written(), `\u001b[1F\u001b[J${SHOW_CURSOR}`);
  progress.done();
  assert.equal(written(), '', 'once is enough');
});

test('lines that a narrower terminal has broken are taken away whole; a low one gets what fits', (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: 0 });
  const { stream, written } = streamOf({ isTTY: true, columns: 80, rows: 4 });
  const progress = new Progress(false, stream);
  t.mock.timers.tick(1000);
  progress.show(['x'.repeat(70), 'y', 'z', 'beyond']);
  assert.ok(!written().includes('beyond'));
  stream.columns = 40;
  stream.rows = 24;
  t.mock.timers.tick(1000);
  progress.show(['x']);
  assert.ok(written().includes('\u001b[4Fx'), 'two rows for the long line, one for each other');
  progress.done();
});

test('elsewhere: a plain line now and then, no escape sequence', (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: 0 });
  const { stream, written } = streamOf({ isTTY: false });
  const progress = new Progress(false, stream);
  progress.show(['block'], 'at once');
  assert.equal(written(), '');
  t.mock.timers.tick(5000);
  progress.show(['block'], 'plain');
  progress.show(['block'], 'again');
  progress.done();
  assert.equal(written(), 'plain\n');
});

test('silent means silent', (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: 0 });
  const { stream, written } = streamOf({ isTTY: true });
  const progress = new Progress(true, stream);
  t.mock.timers.tick(60_000);
  progress.show('anything');
  progress.done();
  assert.equal(written(), '');
});
