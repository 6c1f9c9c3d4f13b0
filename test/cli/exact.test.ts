/** `--mode exact` on the command line: the captured ops themselves, and what it cannot do. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { treatmentOf } from '../../src/model/replayable.ts';
import { readAll, temporaryFile, tokenizeAll } from '../support/capture.ts';
import { cutover, root } from '../support/cli.ts';

const mixed = join(root, 'captures/mixed.monitor.gz');

async function planOf(...flags: string[]) {
  const { code, stdout, stderr } = await cutover(['plan', mixed, '--mode', 'exact', '--duration', '3s', ...flags]);
  assert.equal(code, 0, stderr);
  return { stdout, ops: tokenizeAll([Buffer.from(stdout, 'latin1')]).ops };
}

test('what the reader must know of a plan is said beside it', async () => {
  const { stdout, stderr } = await cutover(['plan', mixed, '--rate', '2x', '--duration', '7s']);
  assert.match(stderr, /2\.0 times as fast as it was captured/);
  assert.doesNotMatch(stdout, /as fast as/);
});

test('the plan is the capture, line for line of each client', async () => {
  const { ops: captured } = await readAll(mixed);
  const { ops: planned } = await planOf();
  const sequences = (ops: typeof captured) => {
    const clients = new Map<string, string[]>();
    for (const { client, kind, db, args } of ops) {
      if (kind !== 'command' || treatmentOf(args[0]!.toString('latin1').toLowerCase()) !== 'replay') continue;
      clients.set(client, [
        ...(clients.get(client) ?? []),
        `${db} ${args.map((arg) => arg.toString('hex')).join(' ')}`,
      ]);
    }
    return [...clients.values()];
  };
  const whole = sequences(captured).map((sequence) => sequence.join('\n').toLowerCase());
  const parts = sequences(planned);
  assert.ok(parts.length >= 15 && parts.flat().length > 4000, `${parts.length} clients`);
  // One call meets NOSCRIPT in the capture, and has another name here so that it does again.
  const noScript = Buffer.alloc(40, '0').toString('hex');
  const different = parts.filter(
    (part) =>
      !part.some((op) => op.includes(noScript)) && !whole.some((all) => all.startsWith(part.join('\n').toLowerCase())),
  );
  assert.deepEqual(different, []);
});

test('anonymised, every argument is as long and no name is left', async () => {
  const { ops: real, stdout } = await planOf();
  const { ops: hidden, stdout: text } = await planOf('--keys', 'anonymised');
  const lengths = (ops: typeof real) => ops.map(({ args }) => args.map((arg) => arg.length));
  assert.deepEqual(lengths(hidden), lengths(real));
  assert.match(stdout, /player:\d+|Copper kettle/);
  assert.doesNotMatch(text, /player:\d+|Copper kettle|@example/);
  assert.equal((await planOf('--keys', 'anonymised')).stdout, text);
  assert.notEqual((await planOf('--keys', 'anonymised', '--seed', '2')).stdout, text);
});

const twice = 'apiVersion: cutover/overrides@1\nfamilies:\n  - {match: "player:*", requests: 2x, by: ann, why: test}\n';
const refused: { name: string; args: string[]; message: RegExp; advice: RegExp }[] = [
  {
    name: 'a model',
    args: ['plan', 'x.json', '--mode', 'exact'],
    message: /x\.json is a model/,
    advice: /file of a capture/,
  },
  {
    name: 'stdin',
    args: ['plan', '-', '--mode', 'exact'],
    message: /reads the capture twice/,
    advice: /file of a capture/,
  },
  {
    name: 'keys of another mode',
    args: ['run', mixed, '--keys', 'anonymised'],
    message: /--keys is for --mode exact/,
    advice: /add --mode exact/,
  },
  {
    name: 'more requests than there were',
    args: ['plan', mixed, '--mode', 'exact', '--config', temporaryFile('model.yaml', twice)],
    message: /--mode exact sends each captured op once: "player:\*" cannot have more requests/,
    advice: /name, merge and exclude hold for both/,
  },
  {
    name: 'more than was captured',
    args: ['run', mixed, '--mode', 'exact', '--slice', '30s'],
    message: /holds 13 s of workload; 61 s are asked for/,
    advice: /at most 13 s/,
  },
];

for (const { name, args, message, advice } of refused) {
  test(`${name} is refused, with the next step`, async () => {
    const { code, stderr } = await cutover(args, { input: '' });
    assert.equal(code, 2, stderr);
    assert.match(stderr, message);
    assert.match(stderr, advice);
  });
}
