/** A capture in stretches, and captures of several nodes: the same as one. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { openCaptures } from '../../src/capture/merge.ts';
import { Capture } from '../../src/capture/read.ts';
import { splitCapture } from '../../src/capture/split.ts';
import { type CaptureSummary, joinSummaries } from '../../src/capture/summary.ts';
import { temporaryFile } from '../support/capture.ts';
import { root } from '../support/cli.ts';

const queue = gunzipSync(readFileSync(join(root, 'captures/queue.monitor.gz')));

test('stretches of a file make up the whole of it', async () => {
  const path = temporaryFile('queue.log', Buffer.concat(new Array(12).fill(queue)));
  const whole = new Capture(path);
  const expected: string[] = [];
  for await (const op of whole.batches())
    while (op.next()) expected.push(`${op.atUs} ${op.command} ${op.argCount} ${op.kind}`);

  const ranges = await splitCapture(path, 4);
  assert.equal(ranges.length, 4);
  const ops: string[] = [];
  const summaries: CaptureSummary[] = [];
  for (const range of ranges) {
    const stretch = new Capture(path, {}, range);
    for await (const op of stretch.batches()) {
      while (op.next()) {
        ops.push(`${op.atUs} ${op.command} ${op.argCount} ${op.kind}`);
        // No script is torn from its call.
        assert.ok(op.kind !== 'script-child' || op.parentLine > 0);
      }
    }
    summaries.push(stretch.summary());
  }
  assert.deepEqual(ops, expected);
  // A stretch knows its own clients only, and counts writes only while they have one writer.
  const comparable = ({ head: _, sources: __, evidence, ...rest }: CaptureSummary) => ({
    ...rest,
    ...evidence,
    writes: 0,
  });
  assert.deepEqual(comparable(joinSummaries(path, summaries)), comparable(whole.summary()));
});

test('what is short, compressed or an append-only file is one stretch', async () => {
  for (const content of [
    queue,
    gzipSync(queue),
    Buffer.concat(new Array(3e6).fill(Buffer.from('*1\r\n$4\r\nPING\r\n'))),
  ]) {
    assert.deepEqual(await splitCapture(temporaryFile('c.log', content), 4), [undefined]);
  }
  assert.deepEqual(await splitCapture('-', 4), [undefined]);
});

test('stretches without a record, and rejects in later ones', async () => {
  const good = '1700000000.000001 [0 1.2.3.4:5] "get" "k"\n';
  const parts = [good.repeat(500), 'what is this\n', good.repeat(500)];
  const path = temporaryFile('c.log', parts.join(''));
  const summaries: CaptureSummary[] = [];
  let start = 0;
  for (const part of parts) {
    const stretch = new Capture(path, {}, { start, end: start + part.length });
    for await (const op of stretch.batches()) while (op.next());
    summaries.push(stretch.summary());
    start += part.length;
  }
  const joined = joinSummaries(path, summaries);
  assert.deepEqual(joined.rejected, { 'no-time': { count: 1, firstLine: 501, firstOffset: 500 * good.length } });
  assert.equal(joined.parsed, 1000);
  assert.throws(() => joinSummaries(path, [summaries[1]!]), { code: 'E_CAPTURE_FORMAT' });
});

test('nodes of a cluster become one stream by time', async () => {
  const line = (us: number, client: string, key: string) =>
    `1700000000.${String(us).padStart(6, '0')} [0 ${client}] "get" "${key}"\n`;
  const first = temporaryFile(
    'node1.log',
    line(1, '1.2.3.4:5', 'a') + line(5, '1.2.3.4:5', 'b') + line(4, '1.2.3.4:6', 'c'),
  );
  const second = temporaryFile(
    'node2.log',
    gzipSync(line(2, '1.2.3.4:5', 'd') + line(3, '1.2.3.4:5', 'e') + line(9, 'lua', 'f')),
  );
  const capture = openCaptures([first, second]);
  const ops: unknown[] = [];
  const clients = new Set<number>();
  const commands = new Set<number>();
  for await (const op of capture.batches()) {
    while (op.next()) {
      ops.push([Buffer.from(op.arg(1)).toString(), op.node, capture.client(op.clientId), op.line]);
      clients.add(op.clientId);
      commands.add(op.commandId);
    }
  }
  // The order of a node's file stays as it is.
  assert.deepEqual(ops, [
    ['a', 0, '1.2.3.4:5', 1],
    ['d', 1, '1.2.3.4:5', 1],
    ['e', 1, '1.2.3.4:5', 2],
    ['b', 0, '1.2.3.4:5', 2],
    ['c', 0, '1.2.3.4:6', 3],
    ['f', 1, 'lua', 3],
  ]);
  assert.equal(clients.size, 4);
  assert.equal(commands.size, 1);
  const summary = capture.summary();
  assert.equal(summary.parsed, 6);
  assert.equal(summary.lastUs - summary.firstUs, 8);
  assert.match(summary.caveats[0]!.message, /node2\.log: 1 commands were executed by scripts/);
});

test('large files of several nodes keep every op', async () => {
  const paths = [1, 2, 3].map((node) => temporaryFile(`node${node}.log`, Buffer.concat(new Array(node).fill(queue))));
  const capture = openCaptures(paths);
  const counts = [0, 0, 0];
  for await (const op of capture.batches()) while (op.next()) counts[op.node]!++;
  assert.equal(counts[1], 2 * counts[0]!);
  assert.equal(counts[2], 3 * counts[0]!);
  assert.equal(capture.summary().parsed, 6 * counts[0]!);
});

test('one file given twice, and one of several that is none', async () => {
  const path = temporaryFile('c.log', queue);
  assert.throws(() => openCaptures([path, path]), { code: 'E_CAPTURE_TWICE' });
  const broken = openCaptures([path, temporaryFile('prose.log', 'Dear reader,\n')]);
  await assert.rejects(
    async () => {
      for await (const op of broken.batches()) while (op.next());
    },
    { code: 'E_CAPTURE_FORMAT' },
  );
});

test('a node that had nothing to do is one of them; where all had, or a file holds nothing at all, it is said', async () => {
  const good = (second: number) => `OK\n${second}.000001 [0 1.2.3.4:5] "get" "k"\n`;
  const busy = [1_700_000_000, 1_700_000_001].map((second) => temporaryFile('busy.log', good(second)));
  const idle = ['a.log', 'b.log'].map((name) => temporaryFile(name, 'OK\n'));
  const read = async (names: string[]) => {
    const captures = openCaptures(names);
    let ops = 0;
    for await (const op of captures.batches()) while (op.next()) ops++;
    return { ops, summary: captures.summary() };
  };
  const { ops, summary } = await read([idle[0]!, busy[0]!, idle[1]!, busy[1]!]);
  assert.equal(ops, 2);
  assert.deepEqual([summary.firstUs, summary.lastUs], [1_700_000_000_000_001, 1_700_000_001_000_001]);
  await assert.rejects(read(idle), { code: 'E_CAPTURE_EMPTY', message: /a\.log holds no command/ });
  await assert.rejects(read([busy[0]!, temporaryFile('nothing.log', '')]), { message: /nothing\.log is empty/ });
});
