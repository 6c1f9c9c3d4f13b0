/** What every client must do, on a real server: same order, same accounting, same bytes. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { CLIENTS, type ClientName } from '../../src/drive/clients/index.ts';
import { ErrorPrefixes } from '../../src/drive/error-prefixes.ts';
import { LaneOps } from '../../src/drive/thread/lane-ops.ts';
import { OpStatus } from '../../src/measure/latency-log.ts';
import { processProvider } from '../../src/servers/process.ts';
import type { RunningServer } from '../../src/servers/server.ts';
import { startForeignServer } from '../support/servers.ts';
import { sliceOf } from '../support/slice.ts';

const names = Object.keys(CLIENTS) as ClientName[];
let server: RunningServer;

before(async () => {
  server = await processProvider.start('process:redis-server', {});
});
after(() => server[Symbol.asyncDispose]());

/** A connected client, and what it reports: per reply `replied`, `nil` or the error's word. */
async function open(name: ClientName, db = 0, address = server.address) {
  const words: string[] = [];
  const replies: string[] = [];
  const lost: string[] = [];
  let wake = () => {};
  const sink = { sent: 0 };
  const client = await CLIENTS[name](address, db, new ErrorPrefixes((id, word) => (words[id] = word)), {
    replied: (_, status, errorId, atUs) => {
      assert.ok(atUs > 0);
      replies.push(status === OpStatus.error ? words[errorId]! : status === OpStatus.nil ? 'nil' : 'replied');
      wake();
    },
    get sent() {
      return sink.sent;
    },
    closing: () => {},
    lost: (reason) => {
      lost.push(reason);
      wake();
    },
  });
  const until = async (condition: () => boolean) => {
    while (!condition()) await new Promise<void>((resolve) => (wake = resolve));
  };
  const prepare = (...commands: (string | Buffer)[][]) => {
    const slice = sliceOf(commands.map((args) => ({ args })));
    sink.sent = 0;
    client.prepare(new LaneOps(slice, Uint32Array.from(commands.keys())));
  };
  const sendRun = (from: number, to: number) => {
    sink.sent = to;
    client.send(from, to);
  };
  const send = (...commands: (string | Buffer)[][]) => {
    prepare(...commands);
    sendRun(0, commands.length);
  };
  return {
    client,
    prepare,
    sendRun,
    replies,
    lost,
    until,
    send,
    /** Sends commands in one piece and waits for their replies. */
    ask: async (...commands: (string | Buffer)[][]) => {
      replies.length = 0;
      send(...commands);
      await until(() => replies.length === commands.length);
      return [...replies];
    },
  };
}

/** The server's raw answer to inline commands, by another way than any client. */
async function serverSays(...inline: string[]): Promise<Buffer> {
  const socket = connect({ port: server.address.port, host: server.address.host });
  socket.write(`${inline.join('\r\n')}\r\nQUIT\r\n`);
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

for (const name of names) {
  describe(name, () => {
    test('replies come in the order of the ops, errors and nil among them, and errors are replies', async () => {
      const { client, ask } = await open(name);
      const commands: string[][] = [];
      const expected: string[] = [];
      for (let i = 0; i < 300; i++) {
        const [args, fate] = [
          [['SET', `order:${name}`, `${i}`], 'replied'],
          [['GET', 'no such key'], 'nil'],
          [['LPUSH', `order:${name}`, 'x'], 'WRONGTYPE'],
          [['NOSUCHCOMMAND'], 'ERR'],
          [['GET', `order:${name}`], 'replied'],
          [['EVALSHA', '0'.repeat(40), '0'], 'NOSCRIPT'],
        ][(i * i + 3) % 6] as [string[], string];
        commands.push(args);
        expected.push(fate);
      }
      // So that no GET comes before the first SET.
      assert.deepEqual(await ask(['SET', `order:${name}`, '1'], ...commands), ['replied', ...expected]);
      await client.close();
    });

    test('keys and values are bytes', async () => {
      const { client, ask } = await open(name);
      const key = `bytes:${name}`;
      const value = Buffer.from([0, 255, 13, 10, 36, 42, 128, 0xc3, 0x28]);
      await ask(
        ['SET', key, value],
        ['SET', Buffer.from([0xff, 0, 10]), ''],
        ['APPEND', key, Buffer.alloc(100_000, 0xfe)],
      );
      const answer = await serverSays(`GET ${key}`);
      assert.ok(answer.includes(Buffer.concat([value, Buffer.alloc(100_000, 0xfe)])));
      await client.close();
    });

    test('transactions go through as they are', async () => {
      const { client, ask } = await open(name);
      const set = ['SET', `multi:${name}`, '1'];
      assert.deepEqual(
        await ask(['MULTI'], set, ['EXEC'], ['WATCH', 'w'], ['MULTI'], set, ['NOSUCHCOMMAND'], ['EXEC']),
        [...['replied', 'replied', 'replied', 'replied', 'replied', 'replied', 'ERR', 'EXECABORT']],
      );
      await client.close();
    });

    test('the database is selected', async () => {
      const { client, ask } = await open(name, 3);
      await ask(['SET', `db:${name}`, 'here']);
      assert.match((await serverSays('SELECT 3', `GET db:${name}`)).toString(), /here/);
      await client.close();
    });

    test('prepared ops are sent in runs', async () => {
      const { client, prepare, sendRun, replies, until } = await open(name);
      prepare(...['a', 'b', 'c'].map((member) => ['RPUSH', `runs:${name}`, member]));
      sendRun(0, 1);
      sendRun(1, 3);
      await until(() => replies.length === 3);
      assert.match((await serverSays(`LRANGE runs:${name} 0 -1`)).toString(), /a\r\n\$1\r\nb\r\n\$1\r\nc/);
      await client.close();
    });

    test('close waits for replies on their way', async () => {
      const { client, send, replies, lost } = await open(name);
      send(...Array.from({ length: 500 }, () => ['ECHO', 'x'.repeat(1000)]));
      await client.close();
      assert.deepEqual(replies, Array(500).fill('replied'));
      assert.deepEqual(lost, []);
    });

    test('a connection that ends is reported once, and sending goes on without an exception', async () => {
      const { client, send, replies, lost, until } = await open(name);
      send(['CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'no'], ['GET', 'x'], ['GET', 'y']);
      await until(() => lost.length > 0);
      const answered = replies.length;
      client.send(1, 3);
      await new Promise((resolve) => setTimeout(resolve, 20));
      assert.equal(lost.length, 1);
      assert.equal(replies.length, answered);
      client.destroy();
    });

    test('a refused login or database is an error that says so, without credentials', async () => {
      await assert.rejects(
        open(name, 0, { ...server.address, username: 'nobody', password: 'hunter2' }),
        (error: Error) => {
          assert.match(`${error}`, /WRONGPASS/);
          assert.doesNotMatch(`${error}${JSON.stringify(error)}`, /hunter2/);
          return true;
        },
      );
      await assert.rejects(open(name, 99), { code: 'E_CONNECT', message: /cannot use the server at .*: .*ERR/ });
      await assert.rejects(open(name, 0, { host: '127.0.0.1', port: 1 }), {
        code: 'E_CONNECT',
        message: /ECONNREFUSED/,
      });
    });
  });
}

test('every client speaks TLS and checks whom it speaks to', async () => {
  using foreign = await startForeignServer('redis');
  const address = { host: '127.0.0.1', port: foreign.tlsPort, tls: true };
  const authorities = getCACertificates();
  try {
    for (const name of names) {
      await assert.rejects(open(name, 0, address), { code: 'E_CONNECT', message: /SELF_SIGNED_CERT/ });
      setDefaultCACertificates([foreign.certificate]);
      const { client, ask } = await open(name, 1, address);
      assert.deepEqual(await ask(['SET', 'k', 'v'.repeat(100_000)], ['GET', 'k'], ['LPOP', 'k']), [
        ...['replied', 'replied', 'WRONGTYPE'],
      ]);
      await client.close();
      setDefaultCACertificates(authorities);
    }
  } finally {
    setDefaultCACertificates(authorities);
  }
});

test('raw speaks RESP3 where it is asked to: maps, nulls and all', async () => {
  const { client, ask } = await open('raw', 0, { ...server.address, protocol: 3 });
  assert.deepEqual(
    await ask(['HSET', 'h3', 'f', 'v'], ['HGETALL', 'h3'], ['GET', 'none3'], ['NOSUCH'], ['CLIENT', 'ID']),
    [...['replied', 'replied', 'nil', 'ERR', 'replied']],
  );
  assert.match((await serverSays('CLIENT LIST')).toString(), /resp=3/);
  await client.close();
});

test('all clients count the same', async () => {
  const commands = [
    ['SET', 'n', '1'],
    ['INCR', 'n'],
    ['LPUSH', 'n', '1'],
    ['HGETALL', 'none'],
    ['GET', 'none'],
    ['LPOP', 'none', '2'],
  ];
  const answers = [];
  for (const name of names) {
    const { client, ask } = await open(name);
    answers.push(await ask(...commands));
    await client.close();
  }
  assert.deepEqual(answers[0], ['replied', 'replied', 'WRONGTYPE', 'replied', 'nil', 'nil']);
  for (const answer of answers) assert.deepEqual(answer, answers[0]);
});
