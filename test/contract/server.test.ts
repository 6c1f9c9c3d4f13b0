/** What every server provider must do, on real servers of both products. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { SERVER_ARGUMENTS } from '../../src/servers/control/arguments.ts';
import { ownName } from '../../src/servers/control/owner.ts';
import defaults from '../../src/servers/defaults.json' with { type: 'json' };
import { assertEmpty, startServer } from '../../src/servers/index.ts';
import { realtimeRefusal } from '../../src/servers/priority.ts';
import type { RunningServer, ServerLimits } from '../../src/servers/server.ts';
import { cutover, root } from '../support/cli.ts';
import {
  compose,
  composeFile,
  docker,
  type ForeignServer,
  freePorts,
  imageOf,
  installedVersion,
  noContainers,
  PRODUCTS,
  type Product,
  startForeignServer,
} from '../support/servers.ts';

/** One provider under the contract. */
interface Subject {
  name: string;
  skip: string | false;
  /** What to start; url subjects start the server behind it first. */
  spec(product: Product): Promise<string>;
  /** Ends the server from outside. */
  kill(server: RunningServer): void;
  /** Whether nothing of the server is left. */
  isGone(server: RunningServer): boolean;
}

const foreign: ForeignServer[] = [];
after(() => {
  for (const server of foreign) server[Symbol.dispose]();
});

const containerOf = (server: RunningServer) => docker('ps', '-aq', '--filter', `publish=${server.address.port}`) ?? '';
const folderOf = new WeakMap<RunningServer, string>();

const SUBJECTS: Subject[] = [
  {
    name: 'process',
    skip: false,
    spec: async (product) => `process:${product}-server`,
    kill: (server) => process.kill(server.identity.pid!, 'SIGKILL'),
    isGone: (server) => !isRunning(server.identity.pid!) && !existsSync(folderOf.get(server)!),
  },
  {
    name: 'docker',
    skip: noContainers,
    spec: async (product) => `docker:${imageOf(product)}`,
    kill: (server) => docker('kill', containerOf(server)),
    isGone: (server) => containerOf(server) === '',
  },
  {
    name: 'url',
    skip: false,
    async spec(product) {
      const server = await startForeignServer(product);
      foreign.push(server);
      return `${product}://127.0.0.1:${server.port}`;
    },
    kill: (server) => process.kill(foreign.find(({ port }) => port === server.address.port)!.pid, 'SIGKILL'),
    // It is not ours to end.
    isGone: () => true,
  },
];

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function start(spec: string, limits: ServerLimits = {}): Promise<RunningServer> {
  const server = await startServer(spec, limits);
  folderOf.set(server, (await server.config())!.dir!);
  return server;
}

/** The reply to an inline command on a connection of our own. */
async function ask({ host, port }: { host: string; port: number }, command: string): Promise<string> {
  const socket = connect(port, host);
  socket.write(`${command}\r\n`);
  const [reply] = (await once(socket, 'data')) as [Buffer];
  socket.destroy();
  return reply.toString();
}

const refuses = (port: number) =>
  new Promise<boolean>((done) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => done(false)).once('error', () => done(true));
    socket.once('close', () => socket.destroy()).once('connect', () => socket.destroy());
  });

for (const subject of SUBJECTS) {
  for (const product of PRODUCTS) {
    describe(`${subject.name}, ${product}`, { skip: subject.skip }, () => {
      test('answers, and is who it says', async () => {
        await using server = await start(await subject.spec(product));
        assert.equal(await ask(server.address, 'PING'), '+PONG\r\n');
        const { identity } = server;
        assert.equal(identity.product, product);
        assert.equal(identity.provider, subject.name);
        assert.equal(server.ours, subject.name !== 'url');
        assert.match(identity.allocator, /jemalloc|libc/);
        // Official images have versions of their own; images and servers made from the binaries have the binaries'.
        if (subject.skip !== noContainers || imageOf(product).startsWith('cutover-test/')) {
          assert.equal(identity.version, installedVersion(product));
        }
        if (identity.pid) assert.match(readFileSync(`/proc/${identity.pid}/cmdline`, 'utf8'), /-server/);
      });

      test('tells its INFO by section', async () => {
        await using server = await start(await subject.spec(product));
        assert.ok(Number((await server.info('memory')).used_memory) > 0);
        assert.equal((await server.info('memory')).redis_version, undefined);
        assert.ok((await server.info()).redis_version);
      });

      test('is configured alike each time, without persistence', async () => {
        const settings = async () => {
          await using server = await start(await subject.spec(product));
          const { port: _, 'tls-port': _tls, dir: _dir, unixsocket: _socket, ...rest } = (await server.config())!;
          return Object.fromEntries(Object.entries(rest).filter(([name]) => !/^tls-(cert|key)-file$/.test(name)));
        };
        const first = await settings();
        assert.deepEqual(await settings(), first);
        assert.equal(first.save, '');
        assert.equal(first.appendonly, 'no');
      });

      test('is empty until someone writes', async () => {
        await using server = await start(await subject.spec(product));
        await assertEmpty(server);
        await ask(server.address, 'SET a 1');
        await assert.rejects(assertEmpty(server), { code: 'E_SERVER_NOT_EMPTY', message: /1 keys in db0/ });
      });

      test('its log is printable and says how it started', async () => {
        await using server = await start(await subject.spec(product));
        const lines = await server.logTail(3);
        if (!server.ours) return assert.deepEqual(lines, []);
        assert.match(lines.join('\n'), /Ready to accept connections/);
        // biome-ignore lint/suspicious/noControlCharactersInRegex: none may be there
        assert.doesNotMatch(lines.join(''), /[\x00-\x1f\x7f]/);
      });

      test('its death is reported, and disposal after it is fine', async () => {
        const server = await start(await subject.spec(product));
        subject.kill(server);
        const { how, atMs } = await server.died;
        assert.match(how, server.ours ? /killed by SIGKILL/ : /no longer answers/);
        assert.ok(Math.abs(Date.now() - atMs) < 60_000);
        await assert.rejects(server.info(), { code: 'E_SERVER_SILENT' });
        await server[Symbol.asyncDispose]();
        assert.ok(subject.isGone(server));
      });

      test('nothing of ours is left after disposal, and that is no death', async () => {
        const server = await start(await subject.spec(product));
        await ask(server.address, 'SET stays here');
        await server[Symbol.asyncDispose]();
        await server[Symbol.asyncDispose]();
        assert.ok(subject.isGone(server));
        assert.equal(await refuses(server.address.port), server.ours);
        if (!server.ours) assert.equal(await ask(server.address, 'GET stays'), '$4\r\nhere\r\n');
        assert.equal(await Promise.race([server.died, sleep(50, 'alive')]), 'alive');
      });
    });
  }
}

describe('limits', () => {
  test('a container has them', { skip: noContainers }, async () => {
    const limits = { memoryBytes: 64 * 1024 * 1024, cpus: 0.5, cpuset: '0' };
    await using server = await start(`docker:${imageOf('redis')}`, limits);
    const format = '{{with .HostConfig}}{{.Memory}} {{.MemorySwap}} {{.NanoCpus}} {{.CpusetCpus}}{{end}}';
    assert.equal(docker('inspect', '-f', format, containerOf(server)), '67108864 67108864 500000000 0');
  });

  test('a container is published on this machine only, and labelled', { skip: noContainers }, async () => {
    await using server = await start(`docker:${imageOf('redis')}`);
    const id = containerOf(server);
    assert.equal(docker('port', id), `6379/tcp -> ${server.address.host}:${server.address.port}`);
    assert.equal(docker('inspect', '-f', '{{.Config.Labels.cutover}}', id), '1');
  });

  test('a container that reaches its memory limit died of that', { skip: noContainers }, async () => {
    await using server = await start(`docker:${imageOf('redis')}`, { memoryBytes: 16 * 1024 * 1024 });
    // 200 MB in one command; the reply never comes.
    ask(server.address, "EVAL \"for i=1,200 do redis.call('SET', i, string.rep('x', 1000000)) end\" 0").catch(() => {});
    assert.match((await server.died).how, /container reached the memory limit/);
  });

  test('a container with a memory limit that is killed may have died of it', { skip: noContainers }, async () => {
    await using server = await start(`docker:${imageOf('redis')}`, { memoryBytes: 64 * 1024 * 1024 });
    docker('kill', containerOf(server));
    assert.match((await server.died).how, /killed by SIGKILL: perhaps .* the memory limit/);
  });

  const linux = process.platform === 'linux' ? false : 'needs Linux: no cpuset here';
  test('a process keeps to its cpuset', { skip: linux }, async () => {
    await using server = await start('process:redis-server', { cpuset: '0' });
    assert.match(readFileSync(`/proc/${server.identity.pid}/status`, 'utf8'), /^Cpus_allowed_list:\t0$/m);
  });

  test('what a provider cannot limit, it refuses', async () => {
    for (const limits of [{ memoryBytes: 1e9 }, { cpus: 1 }]) {
      await assert.rejects(startServer('process:redis-server', limits), { code: 'E_LIMIT_UNSUPPORTED' });
    }
    await assert.rejects(startServer('redis://127.0.0.1:1', { cpuset: '0' }), { code: 'E_LIMIT_UNSUPPORTED' });
  });
});

describe('failures say what to do', () => {
  test('a binary that is missing, or is no server', async () => {
    await assert.rejects(startServer('process:no-such-server'), { code: 'E_BINARY_MISSING', oclif: { exit: 3 } });
    await assert.rejects(startServer('process:true'), { code: 'E_SERVER_START', message: /ended before it answered/ });
  });

  test('a cpuset that does not exist: the words of what refused it', async () => {
    await assert.rejects(startServer('process:redis-server', { cpuset: '4000' }), { message: /affinity|CPU/i });
  });

  test('an image that is nowhere leaves no container', { skip: noContainers }, async () => {
    // Port 1 of this machine: refused at once, no registry asked.
    await assert.rejects(startServer('docker:127.0.0.1:1/none:1'), { code: 'E_IMAGE_MISSING', message: /refused/ });
  });

  test('a container that cannot start is removed', { skip: noContainers }, async () => {
    const count = () => docker('ps', '-aq', '--filter', 'label=cutover', '--filter', 'status=created');
    const before = count();
    await assert.rejects(startServer(`docker:${imageOf('redis')}`, { cpuset: '4000' }), { code: 'E_SERVER_START' });
    assert.equal(count(), before);
  });
});

describe('a server that someone else runs', () => {
  let server: ForeignServer;
  const trusted = getCACertificates('default');
  before(async () => {
    server = await startForeignServer('valkey', '--requirepass', 'p@ss:word/1');
    server.cli('-a', 'p@ss:word/1', 'ACL', 'SETUSER', 'ann', 'on', '>s3cret', '~*', '+@all');
    server.cli('-a', 'p@ss:word/1', 'ACL', 'SETUSER', 'bob', 'on', '>s3cret', '~*', '+get');
  });
  after(() => {
    setDefaultCACertificates(trusted);
    server[Symbol.dispose]();
  });

  test('password, user and Unix socket', async () => {
    const password = encodeURIComponent('p@ss:word/1');
    for (const [url, spec] of [
      [`redis://:${password}@127.0.0.1:${server.port}`, `redis://127.0.0.1:${server.port}`],
      [`valkey://ann:s3cret@127.0.0.1:${server.port}`, `valkey://127.0.0.1:${server.port}`],
      [`unix://ann:s3cret@${server.socket}`, `unix:${server.socket}`],
      [`unix::${password}@${server.socket}`, `unix:${server.socket}`],
    ] as const) {
      await using running = await startServer(url);
      assert.equal(running.identity.product, 'valkey');
      assert.equal(running.identity.spec, spec);
      const config = await running.config();
      assert.equal(config?.requirepass, '(set)');
      assert.doesNotMatch(JSON.stringify([running.identity, config]), /s3cret|p@ss/);
    }
  });

  test('TLS, once its authority is trusted', async () => {
    const url = `rediss://ann:s3cret@127.0.0.1:${server.tlsPort}`;
    const refusal = (await startServer(url).catch((error: unknown) => error)) as {
      message: string;
      suggestions: string[];
    };
    assert.match(refusal.message, /certificate is not trusted/);
    assert.match(refusal.suggestions.join(), /NODE_EXTRA_CA_CERTS/);
    setDefaultCACertificates([...trusted, server.certificate]);
    await using running = await startServer(url);
    assert.equal(running.identity.product, 'valkey');
  });

  test('refusals name the reason and never the credentials', async () => {
    const at = `127.0.0.1:${server.port}`;
    const [closed] = await freePorts(1);
    for (const [url, reason] of [
      [`redis://${at}`, /asks for a password/],
      [`redis://ann:wr0ng@${at}`, /refused the user or the password/],
      [`redis://bob:s3cret@${at}`, /may not run PING and INFO/],
      [`redis://ann:s3cret@127.0.0.1:${closed}`, /nothing listens/],
      ['redis://ann:s3cret@host.invalid', /host name is unknown/],
      ['unix:ann:s3cret@/no/such.sock', /no such socket/],
      [`rediss://ann:s3cret@${at}`, /TLS handshake/],
      [`redis://ann:s3cret@127.0.0.1:${server.tlsPort}`, /closed the connection/],
      [`redis://ann:s3cret@${at}/3`, /selects its own databases/],
      ['redis://ann:s3cret@:/', /cannot be read/],
      ['rdis://ann:s3cret@host', /not a server that cutover can start/],
    ] as const) {
      await assert.rejects(startServer(url), (error: Error & { suggestions: string[]; oclif: { exit: number } }) => {
        assert.match(error.message, reason);
        assert.ok(error.suggestions.join('').length > 10);
        assert.ok([2, 3].includes(error.oclif.exit));
        assert.doesNotMatch(
          `${JSON.stringify(error)} ${error.stack} ${error.suggestions} ${error.cause}`,
          /s3cret|wr0ng/,
        );
        return true;
      });
    }
  });

  test('a dropped connection is not a death', async () => {
    await using running = await startServer(`redis://ann:s3cret@127.0.0.1:${server.port}`);
    server.cli('-a', 'p@ss:word/1', 'CLIENT', 'KILL', 'USER', 'ann');
    assert.equal((await running.info('server')).tcp_port, `${server.port}`);
    assert.equal(await Promise.race([running.died, sleep(50, 'alive')]), 'alive');
  });
});

describe('docker-compose.yml', () => {
  test('starts the default images as cutover itself does, with equal limits', () => {
    const { redis, valkey } = composeFile.services;
    assert.deepEqual(redis.command, SERVER_ARGUMENTS);
    assert.deepEqual({ ...redis, image: '', ports: [] }, { ...valkey, image: '', ports: [] });
    for (const product of PRODUCTS) {
      const { image, ports } = composeFile.services[product];
      assert.ok(image.endsWith(`:-${defaults[product].image}}`));
      assert.match(ports.join(), /^127\.0\.0\.1:/);
    }
  });

  const skip =
    noContainers || (compose ? false : 'no compose: install docker-compose or the compose plugin; .ci/run does');
  test('is a pair that the url provider can use', { skip }, async () => {
    const [redisPort, valkeyPort] = await freePorts(2);
    const env = {
      ...process.env,
      CUTOVER_REDIS_IMAGE: imageOf('redis'),
      CUTOVER_VALKEY_IMAGE: imageOf('valkey'),
      CUTOVER_REDIS_PORT: `${redisPort}`,
      CUTOVER_VALKEY_PORT: `${valkeyPort}`,
    };
    const [command, ...words] = [...compose!, '-p', `cutover-test-${process.pid}`];
    const run = (...args: string[]) => execFileSync(command!, [...words, ...args], { cwd: root, env, stdio: 'pipe' });
    try {
      run('up', '-d');
      for (const [product, port] of [
        ['redis', redisPort],
        ['valkey', valkeyPort],
      ] as const) {
        await using server = await startServer(`${product}://127.0.0.1:${port}`);
        assert.equal(server.identity.product, product);
        await assertEmpty(server);
        const { save, appendonly } = (await server.config())!;
        assert.deepEqual({ save, appendonly }, { save: '', appendonly: 'no' });
      }
    } finally {
      run('down', '-v', '-t', '0');
    }
  });
});

describe('when cutover itself ends', () => {
  const follow =
    process.platform === 'linux' ? false : 'needs setpriv (Linux): elsewhere a SIGKILL of cutover leaves the server';
  const script = (then: string, spec: string, limits: ServerLimits) => `
    import { startServer } from ${JSON.stringify(join(root, 'src/servers/index.ts'))};
    const server = await startServer(${JSON.stringify(spec)}, ${JSON.stringify(limits)});
    console.log((server.identity.pid ?? 0) + ' ' + (await server.config()).dir);
    ${then}`;
  const startChild = async (then: string, spec = 'process:valkey-server', limits: ServerLimits = {}) => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', script(then, spec, limits)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    const [pid, folder] = line.toString().trim().split(' ');
    return { child, pid: Number(pid), folder: folder! };
  };

  test('by exit, its servers and their directories are gone', async () => {
    const { child, pid, folder } = await startChild('process.exit(0)');
    if (child.exitCode === null) await once(child, 'exit');
    while (isRunning(pid)) await sleep(10);
    assert.ok(!existsSync(folder));
    assert.equal(dirname(folder), tmpdir());
  });

  for (const priority of ['normal', ...(realtimeRefusal() === undefined ? (['realtime'] as const) : [])] as const) {
    test(`by SIGKILL, its servers are gone, and their directories with the next run (${priority})`, {
      skip: follow,
    }, async () => {
      const forever = 'setInterval(() => {}, 1000)';
      const { child, pid, folder } = await startChild(forever, 'process:redis-server', { priority });
      await using other = await startServer('process:valkey-server');
      assert.ok(existsSync(folder), 'the owner is there');
      child.kill('SIGKILL');
      if (child.signalCode === null) await once(child, 'exit');
      while (isRunning(pid)) await sleep(10);
      await other[Symbol.asyncDispose]();
      await using _next = await startServer('process:valkey-server');
      assert.ok(!existsSync(folder));
    });
  }

  test('what others left under a name like that is neither waited for nor removed', { skip: follow }, () => {
    const shared = mkdtempSync(join(tmpdir(), 'cutover-test-'));
    try {
      const gone = ownName().replace(/ .*/, ' 999999999 1');
      const [pipe, open, own] = ['cutover-pipe', 'cutover-open', 'cutover-own'].map((name) => join(shared, name));
      for (const folder of [pipe!, open!, own!]) mkdirSync(folder, { mode: 0o700 });
      chmodSync(open!, 0o777);
      for (const folder of [open!, own!]) writeFileSync(join(folder, 'owner'), gone);
      execFileSync('mkfifo', [join(pipe!, 'owner')]);
      const then = 'await server[Symbol.asyncDispose](); process.exit(0)';
      execFileSync(process.execPath, ['--input-type=module', '-e', script(then, 'process:valkey-server', {})], {
        ...{ env: { ...process.env, TMPDIR: shared }, stdio: 'ignore', timeout: 20_000, killSignal: 'SIGKILL' },
      });
      assert.deepEqual(readdirSync(shared).sort(), ['cutover-open', 'cutover-pipe']);
    } finally {
      rmSync(shared, { recursive: true });
    }
  });

  test('by SIGKILL, its containers are named by doctor and removed by the next run', {
    skip: noContainers,
  }, async () => {
    const spec = `docker:${imageOf('redis')}`;
    const ours = () => (docker('ps', '-aq', '--filter', 'label=cutover.owner') ?? '').split('\n').filter(Boolean);
    const before = ours();
    await using living = await startServer(spec);
    const { child } = await startChild('setInterval(() => {}, 1000)', spec);
    const [orphan] = ours().filter((id) => !before.includes(id) && id !== containerOf(living));
    assert.ok(orphan);
    child.kill('SIGKILL');
    if (child.signalCode === null) await once(child, 'exit');
    const doctor = await cutover(['doctor', '--json']);
    const { checks } = JSON.parse(doctor.stdout) as { checks: { id: string; cure?: string }[] };
    assert.match(checks.find(({ id }) => id === 'leftovers')!.cure!, new RegExp(orphan));
    const next = await startChild('await server[Symbol.asyncDispose](); process.exit(0)', spec);
    if (next.child.exitCode === null) await once(next.child, 'exit');
    assert.ok(!ours().includes(orphan), 'its owner is gone');
    assert.ok(ours().includes(containerOf(living)), 'whose owner lives stays');
  });
});
