// Runs a workload against a fresh Redis under MONITOR and writes NAME.monitor.gz and NAME.capture.json.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { sleep } from './pace.js';

const HOST = '127.0.0.1';
const CAPTURES = fileURLToPath(new URL('..', import.meta.url));

/**
 * Everything this recorder sends. None of it makes a line in the capture: the two INFOs fall outside the MONITOR
 * window and the server never shows the others. In commandstats the first INFO and the rest do count.
 */
const RECORDER_COMMANDS = ['client|kill', 'client|list', 'info', 'monitor'];

/** What says where and by whom the server was run, and nothing about the workload. */
const PRIVATE_FIELDS = new Set(['config_file', 'executable', 'os', 'process_id', 'run_id', 'tcp_port']);

/**
 * `setup` runs before the first INFO and MONITOR, `workload` under MONITOR; both get `{ host, port, untilUnblocked }`,
 * and `workload` also what `setup` returned. When `workload` resolves, all its connections must be closing.
 */
export async function record({ name, libraries, setup = async () => {}, workload }) {
  const server = await startServer();
  try {
    const control = await Connection.open(server.port);
    const target = { host: HOST, port: server.port, untilUnblocked: () => untilUnblocked(control) };
    const prepared = await setup(target);

    const before = await snapshot(control);
    const monitor = await Connection.open(server.port);
    await monitor.send('MONITOR');
    const recordedAt = new Date();
    const lines = collect(monitor);
    await workload(target, prepared);
    const tookSeconds = (Date.now() - recordedAt) / 1000;
    await stopMonitor(control);
    const text = `OK\n${(await lines).replaceAll('\r\n', '\n').replace(/^\+/gm, '')}`;
    const after = await snapshot(control);
    control.close();
    if (text.includes(CAPTURES)) throw new Error(`the capture names a path of this machine: ${CAPTURES}`);

    const compressed = gzipSync(text, { level: 9 });
    const sidecar = {
      schema: 'cutover/capture@1',
      recordedAt: recordedAt.toISOString(),
      server: { product: 'redis', version: after.server.redis_version },
      clients: Object.fromEntries(libraries.map((library) => [library, installedVersion(library)])),
      recorderCommands: RECORDER_COMMANDS,
      bursts: [{ startedAt: recordedAt.toISOString(), before, after }],
    };
    writeFileSync(join(CAPTURES, `${name}.monitor.gz`), compressed);
    writeFileSync(join(CAPTURES, `${name}.capture.json`), `${JSON.stringify(sidecar, null, 2)}\n`);
    const count = text.split('\n').length - 1;
    console.log(
      `${name}: ${count} lines in ${tookSeconds.toFixed(1)} s, ${text.length} bytes, ${compressed.length} compressed`,
    );
  } catch (error) {
    console.error(error); // before the server goes: open clients may raise when it does
    process.exitCode = 1;
  } finally {
    await server.stop();
  }
}

async function startServer() {
  const port = await freePort();
  const directory = mkdtempSync(join(tmpdir(), 'capture-'));
  const options = { port, bind: HOST, dir: directory, save: '', appendonly: 'no', daemonize: 'no' };
  const flags = Object.entries(options).flatMap(([option, value]) => [`--${option}`, String(value)]);
  const child = spawn('redis-server', flags, { stdio: ['ignore', 'ignore', 'inherit'] });
  const exited = once(child, 'exit');
  await once(child, 'spawn');
  return {
    port,
    async stop() {
      child.kill();
      await exited;
      rmSync(directory, { recursive: true });
    },
  };
}

async function freePort() {
  const probe = net.createServer().listen(0, HOST);
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  return port;
}

/** One RESP2 connection, one request at a time: small enough that every command it sends is known. */
class Connection {
  static async open(port) {
    for (let attempt = 0; ; attempt++) {
      const socket = net.connect(port, HOST);
      try {
        await once(socket, 'connect');
        return new Connection(socket);
      } catch (error) {
        if (attempt === 100) throw error;
        await sleep(50);
      }
    }
  }

  constructor(socket) {
    this.socket = socket;
  }

  /** Resolves to the reply's text; understands status, integer, error and bulk replies. */
  async send(...words) {
    this.socket.write(`${words.join(' ')}\r\n`);
    let reply = Buffer.alloc(0);
    while (!isComplete(reply)) reply = Buffer.concat([reply, (await once(this.socket, 'data'))[0]]);
    const headerEnd = reply.indexOf('\r\n');
    const header = reply.toString('latin1', 0, headerEnd);
    if (header[0] === '-') throw new Error(header.slice(1));
    return header[0] === '$' ? reply.toString('utf8', headerEnd + 2, reply.length - 2) : header.slice(1);
  }

  close() {
    this.socket.end();
  }
}

function isComplete(reply) {
  const headerEnd = reply.indexOf('\r\n');
  if (headerEnd < 0) return false;
  if (reply[0] !== 0x24 /* $ */) return true;
  return reply.length >= headerEnd + 2 + Number(reply.toString('latin1', 1, headerEnd)) + 2;
}

/** MONITOR escapes every byte outside printable ASCII, so the stream is latin1 text. */
async function collect(monitor) {
  const chunks = [];
  monitor.socket.on('data', (chunk) => chunks.push(chunk));
  await once(monitor.socket, 'close');
  return Buffer.concat(chunks).toString('latin1');
}

/**
 * Ends MONITOR once the workload's clients are gone and the last line has left the server's buffers. The server hangs
 * up, so nothing can be lost on the way, and CLIENT LIST and CLIENT KILL make no lines.
 */
async function stopMonitor(control) {
  const [monitor] = await untilClients(control, 'only the recorder is connected and MONITOR is flushed', (others) => {
    return others.length === 1 && others[0].flags.includes('O') && others[0].obl === '0' && others[0].oll === '0';
  });
  await control.send('CLIENT', 'KILL', 'ID', monitor.id);
}

/**
 * Waits until no client blocks. A client that hangs up while it blocks has its command in MONITOR but not in
 * commandstats, so a workload must let its blocking calls return before it closes.
 */
async function untilUnblocked(control) {
  await untilClients(control, 'nobody blocks', (others) => !others.some((client) => client.flags.includes('b')));
}

async function untilClients(control, wish, holds) {
  const deadline = Date.now() + 15_000;
  for (;;) {
    const list = (await control.send('CLIENT', 'LIST')).trim().split('\n');
    const clients = list.map((line) => Object.fromEntries(line.split(' ').map((field) => field.split(/=(.*)/s))));
    const others = clients.filter((client) => client.cmd !== 'client|list');
    if (holds(others)) return others;
    if (Date.now() > deadline) throw new Error(`gave up waiting until ${wish}:\n${list.join('\n')}`);
    await sleep(20);
  }
}

/** INFO as `{ section: { field: value } }`, values exactly as printed. */
async function snapshot(control) {
  const sections = {};
  let fields;
  for (const line of (await control.send('INFO', 'server', 'commandstats', 'keyspace', 'memory', 'stats')).split(
    '\r\n',
  )) {
    if (line.startsWith('# ')) {
      fields = {};
      sections[line.slice(2).toLowerCase()] = fields;
    } else if (line !== '') {
      const [field, value] = line.split(/:(.*)/s);
      if (!PRIVATE_FIELDS.has(field)) fields[field] = value;
    }
  }
  return sections;
}

function installedVersion(library) {
  return JSON.parse(readFileSync(new URL(`node_modules/${library}/package.json`, import.meta.url))).version;
}
