/** What a server under test is to the rest of the tool, whoever started it. */

import type { Priority } from './priority.ts';

/** Where to connect, and as whom. Credentials live here only, never in text that is printed or saved. */
export interface ServerAddress {
  host: string;
  port: number;
  /** Unix socket path; replaces host and port. */
  path?: string;
  tls?: boolean;
  username?: string;
  password?: string;
  /** What the raw client speaks; absent: 2. Libraries speak what is their default. */
  protocol?: 2 | 3;
  /** Set if this is a node of a cluster: it tells of the others. */
  cluster?: {
    /** `HOST:PORT` as a node announces itself → where it is reached from here, if that differs. */
    reach: Record<string, { host: string; port: number }>;
  };
}

export interface ServerLimits {
  /** Bytes. Containers only, like `cpus`: other providers refuse what they cannot do, rather than measure without it. */
  memoryBytes?: number;
  /** CPU cores, fractions allowed. */
  cpus?: number;
  /** Linux cpuset, `2-3`: containers and processes. */
  cpuset?: string;
  /** `realtime`: all its threads under SCHED_FIFO, or E_PRIORITY where that is not permitted. */
  priority?: Priority;
  /** Not one server but a cluster of so many nodes, each within the limits; a URL's cluster has the nodes that it has. */
  primaries?: number;
  /** Start an empty node of a cluster that is still to be formed (`cluster.ts`). */
  clusterNode?: boolean;
}

/** Who the server says it is; read from `server_name` and `valkey_version`, never from `redis_version` alone. */
export interface ServerIdentity {
  /** As the user wrote it, without credentials: `docker:valkey/valkey:8.1`. */
  spec: string;
  provider: string;
  product: 'redis' | 'valkey' | 'other';
  version: string;
  allocator: string;
  /** Process id where we can know it. */
  pid?: number;
  /** Docker image id, or the binary's path. */
  artefact?: string;
  /** Of a cluster: how many nodes serve slots. */
  primaries?: number;
}

export interface ServerExit {
  atMs: number;
  /** One clause for the error message: `killed by SIGKILL`, `exited with code 1`. */
  how: string;
}

export interface RunningServer extends AsyncDisposable {
  readonly identity: ServerIdentity;
  readonly address: ServerAddress;
  /** Where servers beside it reach it, if that is elsewhere: in the network of its container. */
  readonly peerAddress?: { host: string; port: number };
  /** False for servers that someone else runs: they are never flushed, configured or stopped. */
  readonly ours: boolean;
  /** `INFO section` as name → value. Uses a connection of its own. */
  info(section?: string): Promise<Record<string, string>>;
  /** `CONFIG GET *`, or undefined where the server refuses it. */
  config(): Promise<Record<string, string> | undefined>;
  /** Resolves when the server ends although nobody asked it to; stays pending otherwise. */
  readonly died: Promise<ServerExit>;
  /** The last lines of its log, terminal escapes removed; empty where there is none. */
  logTail(lines: number): Promise<string[]>;
}

/** To add a provider: one file that exports one of these, and its line in `index.ts`. */
export interface ServerProvider {
  name: string;
  /** True if this provider understands the spec (`docker:…`, `process:…`, a URL). */
  accepts(spec: string): boolean;
  /**
   * Throws, without starting anything, what `start` would for want of an engine, an image, a binary or an answer; and
   * E_SERVER_NOT_EMPTY for a server that someone else runs and that holds data, unless that is allowed.
   */
  check(spec: string, limits: ServerLimits, allowNonempty: boolean): Promise<void>;
  /** Starts (or connects to) the server, waits until it answers PING. Throws CutoverError with exit `cannotRun`. */
  start(spec: string, limits: ServerLimits): Promise<RunningServer>;
}
