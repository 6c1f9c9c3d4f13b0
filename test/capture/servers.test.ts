/** What the installed servers print while clients send random bytes is read back byte for byte, in every form of redis-cli. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { Tokenizer } from '../../src/capture/tokenize.ts';
import { mulberry32 } from '../../src/model/random.ts';
import { decodeAll } from '../support/capture.ts';
import { PRODUCTS, startForeignServer } from '../support/servers.ts';

const CLIENTS = 4;
const COMMANDS = 300;
const random = mulberry32(4711);
const below = (n: number) => Math.floor(random() * n);
/** Bytes with a preference for those that mean something to MONITOR. */
const bytes = () =>
  Buffer.from(
    Array.from({ length: below(40) }, () => (random() < 0.4 ? '"\\ []\n\r0x'.charCodeAt(below(9)) : below(256))),
  );

const FORMS = ['', '--csv', '--json', '--quoted-json'];

function frame(args: Buffer[]): Buffer {
  return Buffer.concat([
    Buffer.from(`*${args.length}\r\n`),
    ...args.flatMap((arg) => [Buffer.from(`$${arg.length}\r\n`), arg, Buffer.from('\r\n')]),
  ]);
}

/** Sends a command and waits for some reply. */
async function send(socket: Socket, args: Buffer[]): Promise<void> {
  socket.write(frame(args));
  await once(socket, 'data');
}

for (const product of PRODUCTS) {
  test(`${product}: what several clients send is what is read`, async () => {
    using server = await startForeignServer(product);
    const outputs: Buffer[][] = FORMS.map(() => []);
    const readers = FORMS.map((form, i) => {
      const child = spawn('redis-cli', ['-p', `${server.port}`, ...(form ? [form] : []), 'monitor'], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      child.stdout.on('data', (data: Buffer) => outputs[i]!.push(data));
      return child;
    });
    const raw = connect(server.port, '127.0.0.1');
    const rawChunks: Buffer[] = [];
    raw.on('data', (data) => rawChunks.push(data));
    raw.write('MONITOR\r\n');
    const seen = (text: string) => [...outputs, rawChunks].every((chunks) => Buffer.concat(chunks).includes(text));
    while (!seen('OK')) await once(raw, 'data', { signal: AbortSignal.timeout(50) }).catch(() => {});

    const sent = new Map<string, Buffer[][]>();
    await Promise.all(
      Array.from({ length: CLIENTS }, async () => {
        const socket = connect(server.port, '127.0.0.1');
        await once(socket, 'connect');
        const mine: Buffer[][] = [];
        sent.set(`127.0.0.1:${socket.localPort}`, mine);
        for (let i = 0; i < COMMANDS; i++) {
          const command = ['SET', 'sadd', 'rPush', 'ECHO'][below(4)]!;
          const args = [Buffer.from(command), Buffer.concat([Buffer.from(command), bytes()])];
          if (command !== 'ECHO') args.push(bytes());
          mine.push(args);
          await send(socket, args);
        }
        socket.destroy();
      }),
    );
    server.cli('echo', 'the end of it');
    while (!seen('the end of it')) await once(raw, 'data', { signal: AbortSignal.timeout(50) }).catch(() => {});
    for (const child of readers) child.kill('SIGKILL');
    raw.destroy();

    for (const [i, chunks] of [...outputs, rawChunks].entries()) {
      const tokenizer = new Tokenizer();
      const ops = decodeAll(tokenizer, chunks);
      const form = FORMS[i] ?? 'raw socket';
      assert.deepEqual([...tokenizer.rejects], [], form);
      for (const [client, mine] of sent) {
        const read = ops.filter((op) => op.client === client).map((op) => op.args);
        assert.deepEqual(read, mine, `${form}, ${client}`);
      }
    }
  });
}
