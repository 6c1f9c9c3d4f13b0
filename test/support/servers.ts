/** What tests of servers run on: what this machine has, and servers that "someone else" runs. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parse } from 'yaml';
import { root } from './cli.ts';

export const PRODUCTS = ['redis', 'valkey'] as const;
export type Product = (typeof PRODUCTS)[number];

/** Servers of other releases, by `redis@8.0`, as test/support/more-servers.sh leaves them; empty where it has not run. */
export function moreServers(): Map<string, string> {
  const folder =
    process.env.CUTOVER_SERVERS ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'cutover/servers');
  if (!existsSync(folder)) return new Map();
  return new Map(readdirSync(folder).flatMap((name) => (name.includes('@') ? [[name, join(folder, name)]] : [])));
}

/** The version that the installed binary prints. */
export function installedVersion(product: Product): string {
  return / v=(\S+)/.exec(execFileSync(`${product}-server`, ['--version'], { encoding: 'utf8' }))![1]!;
}

interface ComposeFile {
  services: Record<Product, { image: string; command: string[]; ports: string[]; cpus: number; mem_limit: string }>;
}

/** docker-compose.yml as it is written, variables not replaced. */
export const composeFile: ComposeFile = parse(readFileSync(join(root, 'docker-compose.yml'), 'utf8'), { merge: true });

/** The image that tests of containers use: what the environment names, else the default. */
export function imageOf(product: Product): string {
  const [, name, image] = /\$\{(\w+):-([^}]+)\}/.exec(composeFile.services[product].image)!;
  return process.env[name!] || image!;
}

/** Runs the docker command line; undefined when it fails. */
export function docker(...args: string[]): string | undefined {
  const { status, stdout } = spawnSync('docker', args, { encoding: 'utf8', timeout: 60_000 });
  return status === 0 ? stdout.trim() : undefined;
}

const CURE = 'start Docker, then: eval "$(test/support/server-images.sh)"; .ci/run does both';

/** Why tests of containers cannot run here, for `skip`; false when they can. */
export const noContainers: string | false =
  docker('version') === undefined
    ? `no container engine: ${CURE}`
    : PRODUCTS.some((product) => docker('image', 'inspect', imageOf(product)) === undefined)
      ? `the images are not here: ${CURE}`
      : false;

/** The compose command that is installed, if any. */
export const compose: string[] | undefined = [['docker', 'compose'], ['docker-compose']].find(
  ([command, ...args]) => spawnSync(command!, [...args, 'version']).status === 0,
);

/** Some ports that were free a moment ago, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, '127.0.0.1');
      await once(server, 'listening');
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
  return ports;
}

export interface ForeignServer extends Disposable {
  pid: number;
  port: number;
  tlsPort: number;
  socket: string;
  /** The certificate of its own authority, PEM. */
  certificate: string;
  /** Runs redis-cli on its socket. */
  cli(...args: string[]): string;
}

/** A server that cutover did not start: plain port, TLS port and Unix socket. `binary`: one of `moreServers`. */
export async function startForeignServer(
  server: Product | { binary: string },
  ...args: string[]
): Promise<ForeignServer> {
  const binary = typeof server === 'string' ? `${server}-server` : server.binary;
  const folder = mkdtempSync(join(tmpdir(), 'cutover-foreign-'));
  const [socket, key, certificate] = ['s.sock', 'key.pem', 'cert.pem'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '2'];
  const request = ['req', '-x509', '-nodes', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
  execFileSync('openssl', [...request, '-keyout', key, '-out', certificate, ...subject], { stdio: 'ignore' });
  const [port, tlsPort] = (await freePorts(2)) as [number, number];
  const tls = [
    '--tls-port',
    `${tlsPort}`,
    '--tls-cert-file',
    certificate,
    '--tls-key-file',
    key,
    '--tls-auth-clients',
    'no',
  ];
  const child = spawn(
    binary,
    ['--port', `${port}`, '--bind', '127.0.0.1', '--unixsocket', socket, '--save', '', ...tls, ...args],
    { cwd: folder, stdio: 'ignore' },
  );
  // The socket is there a moment before it is listened on.
  while (spawnSync('redis-cli', ['-s', socket, 'ping'], { stdio: 'ignore' }).status !== 0) {
    if (child.exitCode !== null) throw new Error(`${binary} ended with code ${child.exitCode}`);
    await sleep(10);
  }
  return {
    pid: child.pid!,
    port,
    tlsPort,
    socket,
    certificate: readFileSync(certificate, 'utf8'),
    cli: (...words) => execFileSync('redis-cli', ['-s', socket, ...words], { encoding: 'utf8', stdio: 'pipe' }).trim(),
    [Symbol.dispose]() {
      child.kill('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
