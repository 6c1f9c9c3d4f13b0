/** `process:PATH-or-NAME` → a server binary running in a temporary directory on a free loopback port. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  accessSync,
  closeSync,
  constants,
  lstatSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CutoverError, messageOf } from '../errors.ts';
import { BUS_PORT_OFFSET, CLUSTER_ARGUMENTS, SERVER_ARGUMENTS } from './control/arguments.ts';
import { askOrReport, type ControlConnection, connectWhenReady } from './control/connection.ts';
import { tailLines } from './control/log.ts';
import { isGone, ownName } from './control/owner.ts';
import { REALTIME_LAUNCHER, requireRealtime } from './priority.ts';
import type { RunningServer, ServerExit, ServerLimits, ServerProvider } from './server.ts';

const PREFIX = 'process:';
const START_TIMEOUT_MS = 20_000;
/** A port can be taken between finding it free and the server's bind; three times in a row is not chance. */
const PORT_ATTEMPTS = 3;

const FOLDER_PREFIX = 'cutover-';
const OWNER_FILE = 'owner';

/** Servers that run now and their directories: killed and removed when this process exits without having disposed. */
const running = new Map<ChildProcess, string>();

export const processProvider: ServerProvider = {
  name: 'process',
  accepts: (spec) => spec.startsWith(PREFIX),
  check: async (spec, limits) => void prepare(spec, limits),
  async start(spec, limits) {
    const { binary, command } = prepare(spec, limits);
    for (let attempt = 1; ; attempt++) {
      try {
        return await launch(spec, binary, command, limits.clusterNode === true);
      } catch (error) {
        if (!(error instanceof PortTaken) || attempt === PORT_ATTEMPTS) throw error;
      }
    }
  },
};

/** The binary, and the words that start it within the limits. */
function prepare(spec: string, limits: ServerLimits): { binary: string; command: string[] } {
  const name = spec.slice(PREFIX.length);
  const binary = findBinary(name);
  if (!binary) {
    throw new CutoverError(
      'cannotRun',
      'E_BINARY_MISSING',
      `${spec}: no executable \`${name}\` ${name.includes('/') ? 'there' : 'on PATH'}.`,
      [...installAdvice([name]), 'Or name a container instead: docker:IMAGE.'],
    );
  }
  return { binary, command: [...launcher(spec, limits), binary] };
}

class PortTaken extends CutoverError {}

/** The absolute path of an executable: a name is looked up on PATH, anything with a slash is a path. */
export function findBinary(name: string): string | undefined {
  const candidates = name.includes('/')
    ? [resolve(name)]
    : (process.env.PATH ?? '')
        .split(delimiter)
        .filter(Boolean)
        .map((folder) => join(folder, name));
  return candidates.find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** The version that a server binary prints, or undefined if it prints none. */
export function binaryVersion(path: string): string | undefined {
  try {
    return / v=(\S+)/.exec(execFileSync(path, ['--version'], { encoding: 'utf8', timeout: 5000, stdio: 'pipe' }))?.[1];
  } catch {
    return undefined;
  }
}

/** How to get these server binaries onto this machine; nothing for a name that is not a default one. */
export function installAdvice(names: readonly string[]): string[] {
  const known = names.filter((name) => name === 'redis-server' || name === 'valkey-server');
  if (known.length === 0) return [];
  if (process.platform === 'darwin')
    return [`brew install ${known.map((name) => name.replace('-server', '')).join(' ')}`];
  return [
    'In a clone of cutover: npm run setup',
    `Debian 13, Ubuntu 24.04 and newer: sudo apt-get install ${known.join(' ')}`,
    ...(known.includes('valkey-server') ? ['Debian 12: the same, with bookworm-backports among the apt sources'] : []),
  ];
}

/** What runs in front of the binary: all end in exec, so the process that we watch is the server. */
function launcher(spec: string, limits: ServerLimits): string[] {
  if (limits.memoryBytes !== undefined || limits.cpus !== undefined) {
    throw new CutoverError(
      'cannotRun',
      'E_LIMIT_UNSUPPORTED',
      `${spec}: a plain process cannot be limited in memory or CPU share (maxmemory is not the same: it evicts).`,
      ['Use docker:IMAGE for both arms, or leave the limit out. A cpuset works for processes on Linux.'],
    );
  }
  const words: string[] = [];
  if (canFollowParent()) words.push('setpriv', '--pdeathsig', 'KILL', '--');
  if (limits.cpuset !== undefined) {
    if (!findBinary('taskset')) {
      throw new CutoverError(
        'cannotRun',
        'E_LIMIT_UNSUPPORTED',
        `${spec}: a cpuset needs taskset, which is not on PATH.`,
        ['On Linux install util-linux; elsewhere use docker:IMAGE or leave the cpuset out.'],
      );
    }
    words.push('taskset', '--cpu-list', limits.cpuset);
  }
  if (limits.priority === 'realtime') {
    requireRealtime(spec);
    words.push(...REALTIME_LAUNCHER);
  }
  return words;
}

let followsParent: boolean | undefined;
/** Whether setpriv can make the kernel end the server with us, even when we are killed (Linux, util-linux ≥ 2.33). */
function canFollowParent(): boolean {
  followsParent ??= spawnSync('setpriv', ['--pdeathsig', 'KILL', '--', 'true'], { stdio: 'ignore' }).status === 0;
  return followsParent;
}

async function launch(spec: string, binary: string, command: string[], clusterNode: boolean): Promise<RunningServer> {
  const port = clusterNode ? await findNodePort() : await findFreePort();
  if (running.size === 0) removeOrphans();
  const folder = mkdtempSync(join(tmpdir(), FOLDER_PREFIX));
  writeFileSync(join(folder, OWNER_FILE), ownName());
  const logPath = join(folder, 'server.log');
  const log = openSync(logPath, 'a');
  const [file, ...words] = command;
  const child = spawn(
    file!,
    [
      ...[...words, ...SERVER_ARGUMENTS, ...(clusterNode ? CLUSTER_ARGUMENTS : [])],
      ...['--bind', '127.0.0.1', '--port', String(port), '--dir', folder],
    ],
    // Detached: Ctrl-C in a terminal goes to the whole process group, and would end the servers under the run's hands.
    { cwd: folder, detached: true, stdio: ['ignore', log, log] },
  );
  closeSync(log);
  if (running.size === 0) process.on('exit', endAll);
  running.set(child, folder);

  const ended = new Promise<ServerExit>((done) => {
    child.once('error', (error) => done({ atMs: Date.now(), how: messageOf(error) }));
    child.once('exit', (code, signal) =>
      done({ atMs: Date.now(), how: signal ? `killed by ${signal}` : `exited with code ${code}` }),
    );
  });
  const logTail = async (lines: number) => {
    try {
      return tailLines(readFileSync(logPath, 'utf8'), lines);
    } catch {
      return [];
    }
  };
  let disposal: Promise<void> | undefined;
  const dispose = () => {
    disposal ??= (async () => {
      control?.close();
      // Its data is throwaway, and SIGKILL ends a server that hangs as well.
      child.kill('SIGKILL');
      await ended;
      rmSync(folder, { recursive: true, force: true });
      running.delete(child);
      if (running.size === 0) process.off('exit', endAll);
    })();
    return disposal;
  };

  let control: ControlConnection | undefined;
  const address = { host: '127.0.0.1', port };
  try {
    control = await connectWhenReady(address, START_TIMEOUT_MS, ended);
    const { processId, ...who } = await control.identify();
    if (processId !== child.pid) {
      // Ours, if it lost the race for the port, is about to say so and end.
      const endedToo = await Promise.race([ended.then(() => true), sleep(500, false)]);
      throw new Error(
        !endedToo
          ? `its process is ${child.pid}, but the server that answers is ${processId}: a wrapper script must end in \`exec\``
          : 'Address already in use',
      );
    }
    const { promise: died, resolve: die } = Promise.withResolvers<ServerExit>();
    void ended.then((exit) => {
      if (!disposal) die(exit);
    });
    const { info, config } = control;
    return {
      identity: { spec, provider: 'process', ...who, pid: processId, artefact: binary },
      address,
      ours: true,
      info: (section) => askOrReport(spec, info(section)),
      config: () => askOrReport(spec, config()),
      died,
      logTail,
      [Symbol.asyncDispose]: dispose,
    };
  } catch (error) {
    const lastWords = await logTail(5);
    await dispose();
    const reason = [messageOf(error), ...lastWords].join('\n');
    const Failure = /Address already in use/.test(reason) ? PortTaken : CutoverError;
    throw new Failure('cannotRun', 'E_SERVER_START', `${spec} could not be started: ${reason}`, [
      `Try it by hand: ${binary} --port ${port}`,
    ]);
  }
}

/** Directories of runs that were killed; the kernel ended their servers. Where it does not, they are still in use. */
function removeOrphans(): void {
  if (!canFollowParent()) return;
  for (const folder of listFolders()) {
    try {
      const owner = join(folder, OWNER_FILE);
      // A pipe would keep us waiting for its writer.
      if (!isOwnFolder(folder) || !lstatSync(owner).isFile()) continue;
      if (isGone(readFileSync(owner, 'utf8'))) rmSync(folder, { recursive: true, force: true });
    } catch {
      // Not one of these, or removed meanwhile.
    }
  }
}

/** What has a name like those of ours, whoever made it; nothing where the place cannot be listed. */
function listFolders(): string[] {
  try {
    const names = readdirSync(tmpdir()).filter((name) => name.startsWith(FOLDER_PREFIX));
    return names.map((name) => join(tmpdir(), name));
  } catch {
    return [];
  }
}

/** Whether a path is as mkdtemp leaves it: a directory of this user's, where nobody else can put anything. */
function isOwnFolder(path: string): boolean {
  const { uid, mode } = lstatSync(path);
  return (mode & (constants.S_IFMT | 0o077)) === constants.S_IFDIR && uid === process.getuid!();
}

function endAll(): void {
  for (const [child, folder] of running) {
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }
}

/** One whose bus port, which must be a port too, is free as well. */
async function findNodePort(): Promise<number> {
  for (;;) {
    const port = await findFreePort();
    if (port + BUS_PORT_OFFSET > 65_535) continue;
    const isFree = await findFreePort(port + BUS_PORT_OFFSET).then(
      () => true,
      () => false,
    );
    if (isFree) return port;
  }
}

async function findFreePort(wanted = 0): Promise<number> {
  const server = createServer();
  await new Promise<void>((done, fail) => server.once('error', fail).listen(wanted, '127.0.0.1', done));
  const address = server.address();
  await new Promise((done) => server.close(done));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
