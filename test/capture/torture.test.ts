/** Captures of a program that sends every hard case of the format decode to the bytes that were sent. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { Capture } from '../../src/capture/read.ts';

const folder = join(import.meta.dirname, 'torture');

type Argument = string | { repeat_hex: string; count: number };
interface Sidecar {
  lines: { line: number; kind: string; db: number; addr: string; args: Argument[]; lossy?: boolean }[];
}

const bytesOf = (argument: Argument) =>
  typeof argument === 'string' ? argument : argument.repeat_hex.repeat(argument.count);

for (const log of globSync('*.log.gz', { cwd: folder })) {
  test(`every argument of ${basename(log, '.log.gz')}`, async () => {
    const sidecar: Sidecar = JSON.parse(
      gunzipSync(readFileSync(join(folder, log.replace('.log.gz', '.json.gz')))).toString(),
    );
    const expected = new Map(sidecar.lines.filter((line) => line.args).map((line) => [line.line, line]));
    assert.ok(expected.size > 500);
    const capture = new Capture(join(folder, log));
    let inexact = 0;
    for await (const op of capture.batches()) {
      while (op.next()) {
        const line = expected.get(op.line);
        assert.ok(line, `line ${op.line} is not in the sidecar`);
        expected.delete(op.line);
        const args = Array.from({ length: op.argCount }, (_, i) => Buffer.from(op.arg(i)).toString('hex'));
        const lengths = Array.from({ length: op.argCount }, (_, i) => op.argLength(i) * 2);
        const same = JSON.stringify(args) === JSON.stringify(line.args.map(bytesOf));
        if (line.lossy && !same) {
          inexact++;
          continue;
        }
        // Credentials never leave the parser, not even the parts that the server showed.
        if (['auth', 'hello', 'migrate', 'acl', 'config'].includes(op.command)) continue;
        assert.deepEqual(args, line.args.map(bytesOf), `line ${op.line}`);
        assert.deepEqual(
          lengths,
          args.map((arg) => arg.length),
        );
        assert.equal(op.db, line.db);
        assert.equal(capture.client(op.clientId), line.addr);
      }
    }
    assert.deepEqual([...expected.keys()], [], 'lines that were not read');
    const summary = capture.summary();
    assert.deepEqual(summary.rejected, {});
    assert.equal(summary.clock, 'end');
    if (log.startsWith('valkey-8.1.1')) assert.ok(summary.approximateLines > 0 && inexact <= 3, `${inexact} inexact`);
    else assert.equal(summary.approximateLines + inexact, 0);
  });
}
