/** `docker:IMAGE` → a container with its own memory and CPU limits, published on loopback, removed by us. */
import { existsSync, readFileSync } from 'node:fs';
import { connect as connectSocket, isIP } from 'node:net';
import { homedir, userInfo } from 'node:os';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { CutoverError, messageOf } from '../errors.ts';
import { CLUSTER_ARGUMENTS, SERVER_ARGUMENTS } from './control/arguments.ts';
import { askOrReport, type ControlConnection, connectWhenReady } from './control/connection.ts';
import { tailLines } from './control/log.ts';
import { isGone, ownName } from './control/owner.ts';
import { cannotRaise, makeRealtime, REALTIME_ALL_THREADS } from './priority.ts';
import type { RunningServer, ServerExit, ServerLimits, ServerProvider } from './server.ts';

const PREFIX = 'docker:';
const PORT = 6379;
const START_TIMEOUT_MS = 30_000;
const ENGINE_TIMEOUT_MS = 5000;
/** A registry that has not said a word for this long is taken for unreachable. */
const PULL_SILENCE_MS = 10_000;
/** Every container of ours carries it, and who started it: what a killed run left behind is removed by the next one. */
const CONTAINER_LABEL = 'cutover';
const OWNER_LABEL = 'cutover.owner';
/** When, in ms: an image that is made of a container hands its labels on to what is created from it later. */
const CREATED_LABEL = 'cutover.created';
const CREATION_MS = 60_000;

type Testcontainers = typeof import('testcontainers');
type Runtime = Awaited<ReturnType<Testcontainers['getContainerRuntimeClient']>>;
type Container = ReturnType<Runtime['container']['dockerode']['getContainer']>;
interface Engine {
  library: Testcontainers;
  runtime: Runtime;
}

export const dockerProvider: ServerProvider = {
  name: 'docker',
  accepts: (spec) => spec.startsWith(PREFIX),
  check: async (spec) => void (await prepare(spec)),
  start: async (spec, limits) => launch(await prepare(spec), spec, imageIn(spec), limits),
};

const imageIn = (spec: string) => spec.slice(PREFIX.length);

/** The engine, with the image of this spec on it. */
async function prepare(spec: string): Promise<Engine> {
  const { engine, problem } = await findEngine();
  if (!engine) {
    throw new CutoverError('cannotRun', 'E_NO_ENGINE', `${spec} needs a container engine: ${problem}`, ENGINE_ADVICE);
  }
  await removeOrphans(engine);
  const image = imageIn(spec);
  const missing = await obtainImage(image);
  if (missing) {
    throw new CutoverError(
      'cannotRun',
      'E_IMAGE_MISSING',
      `The image ${image} is not here and cannot be pulled: ${missing}.`,
      [
        `Try it by hand: docker pull ${image} (docker login first for a private one)`,
        'Without a registry: process:redis-server, process:valkey-server or the URL of a running server.',
      ],
    );
  }
  return engine;
}

export const ENGINE_ADVICE = [
  'Start Docker (Linux: sudo systemctl start docker; elsewhere: the Docker application), or set DOCKER_HOST.',
  'If the socket refuses you: sudo usermod -aG docker $USER, then log in again.',
];

let found: Promise<{ engine: Engine; problem?: undefined } | { engine?: undefined; problem: string }> | undefined;

/** The container engine, or one clause on why there is none: which sockets were tried, and what each said. Asked once. */
function findEngine() {
  found ??= (async () => {
    const timeout = AbortSignal.timeout(ENGINE_TIMEOUT_MS);
    try {
      // 176 ms and some 150 packages: only for those who use containers.
      const library = await import('testcontainers');
      const runtime = await Promise.race([
        library.getContainerRuntimeClient(),
        new Promise<never>((_, fail) => timeout.addEventListener('abort', () => fail(new Error('no answer')))),
      ]);
      return { engine: { library, runtime } };
    } catch {
      // The library says only that nothing worked.
      return { problem: await describeSockets() };
    }
  })();
  return found;
}

/** Containers of runs on this machine that were killed before they could remove them. */
async function listOrphans({ runtime }: Engine): Promise<string[]> {
  const ours = await runtime.container.dockerode.listContainers({ all: true, filters: { label: [OWNER_LABEL] } });
  return ours.filter(isOrphan).map(({ Id }) => Id);
}

/** `Created`: seconds since the epoch, by the engine's clock. */
export function isOrphan({ Created, Labels }: { Created: number; Labels: Record<string, string> }): boolean {
  return Created * 1000 <= Number(Labels[CREATED_LABEL]) + CREATION_MS && isGone(Labels[OWNER_LABEL]!);
}

/** The same, as the engine names them; empty without an engine. */
export async function findOrphans(): Promise<string[]> {
  const { engine } = await findEngine();
  return engine ? listOrphans(engine) : [];
}

let removal: Promise<void> | undefined;

/** Once: what is killed while this process runs is for the next one. That it fails is no reason not to run. */
function removeOrphans(engine: Engine): Promise<void> {
  removal ??= (async () => {
    for (const id of await listOrphans(engine)) await removeContainer(engine, id);
  })().catch(() => {});
  return removal;
}

/** `v`: the official images declare a volume for /data, which would stay behind. */
async function removeContainer({ runtime }: Engine, id: string): Promise<void> {
  await runtime.container.dockerode.getContainer(id).remove({ force: true, v: true }).catch(ignoreGone);
}

/** The engine's version, or one clause on why there is none. */
export async function describeEngine(): Promise<
  { version: string; problem?: undefined } | { version?: undefined; problem: string }
> {
  const { engine, problem } = await findEngine();
  return engine ? { version: String(engine.runtime.info.containerRuntime.serverVersion) } : { problem };
}

/** Whether the engine has the image already. False without an engine. */
export async function hasImage(image: string): Promise<boolean> {
  const { engine } = await findEngine();
  if (!engine) return false;
  return engine.runtime.container.dockerode
    .getImage(image)
    .inspect()
    .then(
      () => true,
      () => false,
    );
}

/**
 * Makes sure that the engine has the image, pulling it if need be. Resolves to the reason why it cannot be had, or to
 * undefined. Needs an engine; gives up on a registry that is silent, however long a pull that makes progress takes.
 */
export async function obtainImage(image: string): Promise<string | undefined> {
  const { engine, problem } = await findEngine();
  if (!engine) return problem;
  if (await hasImage(image)) return undefined;
  const { dockerode } = engine.runtime.container;
  const abort = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const wait = () => {
    clearTimeout(timer);
    timer = setTimeout(() => abort.abort(), PULL_SILENCE_MS);
  };
  wait();
  try {
    const progress = await dockerode.pull(image, { abortSignal: abort.signal });
    await new Promise<void>((done, fail) => {
      dockerode.modem.followProgress(progress, (error) => (error ? fail(error) : done()), wait);
    });
    return undefined;
  } catch (error) {
    if (abort.signal.aborted) return `the registry was silent for ${PULL_SILENCE_MS / 1000} s`;
    return engineMessage(error);
  } finally {
    clearTimeout(timer);
  }
}

async function launch(engine: Engine, spec: string, image: string, limits: ServerLimits): Promise<RunningServer> {
  const { library, runtime } = engine;
  const { dockerode } = runtime.container;
  const { host } = runtime.info.containerRuntime;
  const localHost = host === 'localhost' ? '127.0.0.1' : host;
  const { socketPath } = dockerode.modem as { socketPath?: string };

  let id: string | undefined;
  /** The library's API has no cpuset and no swap limit, and publishes ports to the whole network. */
  class ServerContainer extends library.GenericContainer {
    constructor() {
      super(image);
      this.withCommand([...SERVER_ARGUMENTS, ...(limits.clusterNode ? CLUSTER_ARGUMENTS : [])]);
      this.withExposedPorts(PORT);
      this.withLabels({ [CONTAINER_LABEL]: '1', [OWNER_LABEL]: ownName(), [CREATED_LABEL]: String(Date.now()) });
      // No Ryuk: it is one more image to pull, and dispose() or the next run removes the container.
      this.withAutoCleanup(false);
      // We wait for PING ourselves; the library's own check needs a shell in the image.
      this.withWaitStrategy(AT_ONCE);
      if (limits.memoryBytes !== undefined) {
        this.hostConfig.Memory = limits.memoryBytes;
        this.hostConfig.MemorySwap = limits.memoryBytes;
      }
      if (limits.cpus !== undefined) this.hostConfig.NanoCpus = Math.round(limits.cpus * 1e9);
      if (limits.cpuset !== undefined) this.hostConfig.CpusetCpus = limits.cpuset;
      if (limits.priority === 'realtime') this.withAddedCapabilities('SYS_NICE');
      // Through a local socket the engine's host is ours; a remote engine must publish where we can reach it.
      if (socketPath && isIP(localHost)) {
        this.hostConfig.PortBindings = { [`${PORT}/tcp`]: [{ HostIp: localHost, HostPort: '0' }] };
      }
    }
    protected override async containerCreated(containerId: string): Promise<void> {
      id = containerId;
    }
  }

  let control: ControlConnection | undefined;
  let disposal: Promise<void> | undefined;
  const dispose = () => {
    disposal ??= (async () => {
      control?.close();
      if (id) await removeContainer(engine, id);
    })();
    return disposal;
  };
  const logTail = async (lines: number) => {
    if (!id || disposal) return [];
    const raw = await dockerode.getContainer(id).logs({ stdout: true, stderr: true, tail: lines, follow: false });
    return tailLines(joinFrames(raw as unknown as Buffer), lines);
  };

  try {
    const started = await new ServerContainer().start();
    const container = dockerode.getContainer(started.getId());
    const ended = container.wait().then(
      async (result: { StatusCode: number }) => ({
        atMs: Date.now(),
        how: await describeEnd(container, result.StatusCode, limits),
      }),
      (error: unknown) => ({ atMs: Date.now(), how: `its container engine is gone: ${messageOf(error)}` }),
    );
    const { promise: died, resolve: die } = Promise.withResolvers<ServerExit>();
    void ended.then((exit) => {
      if (!disposal) die(exit);
    });
    const address = { host: localHost, port: started.getMappedPort(PORT) };
    control = await connectWhenReady(address, START_TIMEOUT_MS, ended);
    const { processId: _, ...who } = await control.identify();
    const { Image, State, NetworkSettings } = await container.inspect();
    const [network] = Object.values(NetworkSettings.Networks);
    if (limits.priority === 'realtime') await raise(spec, container, State.Pid);
    const { info, config } = control;
    return {
      identity: {
        spec,
        provider: 'docker',
        ...who,
        ...(isLocalServer(State.Pid) ? { pid: State.Pid } : {}),
        artefact: Image,
      },
      address,
      ...(limits.clusterNode && network ? { peerAddress: { host: network.IPAddress, port: PORT } } : {}),
      ours: true,
      info: (section) => askOrReport(spec, info(section)),
      config: () => askOrReport(spec, config()),
      died,
      logTail,
      [Symbol.asyncDispose]: dispose,
    };
  } catch (error) {
    const lastWords = await logTail(5).catch(() => []);
    await dispose();
    if (error instanceof CutoverError && error.code === 'E_PRIORITY') throw error;
    throw new CutoverError(
      'cannotRun',
      'E_SERVER_START',
      `${spec} could not be started: ${[engineMessage(error), ...lastWords].join('\n')}`,
      [`Try it by hand: docker run --rm ${image} ${SERVER_ARGUMENTS.map((word) => word || "''").join(' ')}`],
    );
  }
}

/**
 * Gives the server in a container real-time priority: from outside, where its process is one of this machine's and we may;
 * else from inside, which needs chrt in the image.
 */
async function raise(spec: string, container: Container, processId: number): Promise<void> {
  if (isLocalServer(processId) && makeRealtime(processId, { allThreads: true })) return;
  const exec = await container.exec({ Cmd: [...REALTIME_ALL_THREADS, '1'], User: '0' });
  const output = await exec.start({});
  await finished(output.resume()).catch(() => {});
  const { ExitCode } = await exec.inspect();
  if (ExitCode === 0) return;
  throw cannotRaise(
    spec,
    isLocalServer(processId) && hasNoBudget(processId)
      ? 'its control group has no real-time budget, which is so for every container where the kernel has RT_GROUP_SCHED and control groups are of version 1'
      : 'neither this user nor the container may set it',
  );
}

/** Whether the kernel keeps every thread of the process's control group from real-time priority, whoever asks. */
function hasNoBudget(pid: number): boolean {
  try {
    const [, path] = /^\d+:[^:]*\bcpu\b[^:]*:(.*)$/m.exec(readFileSync(`/proc/${pid}/cgroup`, 'utf8'))!;
    return readFileSync(`/sys/fs/cgroup/cpu${path}/cpu.rt_runtime_us`, 'utf8').trim() === '0';
  } catch {
    return false;
  }
}

/** What the engine said, without the library's HTTP envelope. */
function engineMessage(error: unknown): string {
  return messageOf(error)
    .replace(/^\(HTTP code \d+\) [a-z ]+ - /, '')
    .trim();
}

const AT_ONCE = {
  waitUntilReady: async () => {},
  withStartupTimeout() {
    return this;
  },
  isStartupTimeoutSet: () => false,
  getStartupTimeout: () => START_TIMEOUT_MS,
};

function ignoreGone(error: { statusCode?: number }): void {
  // 404: removed already; 409: being removed now.
  if (error.statusCode !== 404 && error.statusCode !== 409) throw error;
}

async function describeEnd(
  container: { inspect(): Promise<{ State: { OOMKilled: boolean } }> },
  statusCode: number,
  { memoryBytes }: ServerLimits,
): Promise<string> {
  const state = await container.inspect().then(
    (inspected) => inspected.State,
    () => undefined,
  );
  if (state?.OOMKilled) return 'killed: its container reached the memory limit';
  // The shell's convention, which engines keep: 128 + signal.
  if (statusCode === 137) {
    // containerd drops the kernel's notice when the control group is gone before the notice is read.
    return memoryBytes === undefined
      ? 'killed by SIGKILL'
      : 'killed by SIGKILL: perhaps its container reached the memory limit, which the engine does not always notice';
  }
  return `exited with code ${statusCode}`;
}

/** Whether a process id that the engine told is one of this machine's: not so for engines in a VM or elsewhere. */
function isLocalServer(pid: number): boolean {
  try {
    return /redis|valkey/.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8'));
  } catch {
    return false;
  }
}

/** Docker's log stream: frames of [stream, 0, 0, 0, length as uint32 big-endian] and payload. */
function joinFrames(raw: Buffer): string {
  const payloads: Buffer[] = [];
  for (let at = 0; at + 8 <= raw.length; ) {
    const end = at + 8 + raw.readUInt32BE(at + 4);
    payloads.push(raw.subarray(at + 8, end));
    at = end;
  }
  return Buffer.concat(payloads).toString('utf8');
}

/** One clause for an error message: every socket an engine could listen on, and what it said. */
async function describeSockets(): Promise<string> {
  if (process.env.DOCKER_HOST)
    return `DOCKER_HOST=${process.env.DOCKER_HOST.replace(/\/\/[^/@]*@/, '//')} does not answer`;
  const runtimeFolder = process.env.XDG_RUNTIME_DIR ?? `/run/user/${userInfo().uid}`;
  const sockets = [
    '/var/run/docker.sock',
    join(runtimeFolder, 'docker.sock'),
    join(homedir(), '.docker/run/docker.sock'),
    join(homedir(), '.docker/desktop/docker.sock'),
  ];
  const present = sockets.filter((path) => existsSync(path));
  if (present.length === 0) return `no socket at ${sockets[0]} nor at the rootless places`;
  const answers = await Promise.all(present.map(async (path) => `${path}: ${await knock(path)}`));
  return answers.join(', ');
}

function knock(path: string): Promise<string> {
  return new Promise((done) => {
    const socket = connectSocket(path);
    const say = (answer: string) => {
      socket.destroy();
      done(answer);
    };
    socket.setTimeout(1000, () => say('no answer'));
    socket.once('connect', () => say('something listens, but does not answer as an engine'));
    socket.once('error', (error: NodeJS.ErrnoException) => {
      const known: Record<string, string> = { EACCES: 'permission denied', ECONNREFUSED: 'nothing listens' };
      say(known[error.code ?? ''] ?? messageOf(error));
    });
  });
}
