/** `redis://`, `rediss://`, `valkey://`, `valkeys://`, `unix:` → a server that someone else runs, only looked at. */
import { CutoverError, messageOf } from '../errors.ts';
import { allOrNone, asOneServer, readSlots } from './cluster.ts';
import { askOrReport, type ControlConnection, connect } from './control/connection.ts';
import { assertEmpty } from './emptiness.ts';
import type { RunningServer, ServerAddress, ServerExit, ServerProvider } from './server.ts';

const DEFAULT_PORT = 6379;
/** A restart or a dropped connection is not a death; about three seconds without an answer are. */
const RECONNECTS = 5;

export const urlProvider: ServerProvider = {
  name: 'url',
  accepts: (spec) => /^(rediss?|valkeys?):\/\/|^unix:/.test(spec),
  async check(spec, limits, allowNonempty) {
    await using server = await this.start(spec, limits);
    if (!allowNonempty) await assertEmpty(server);
  },
  async start(text, limits) {
    const { address, spec } = parseServerUrl(text);
    if (Object.values(limits).some((limit) => limit !== undefined)) {
      throw new CutoverError(
        'cannotRun',
        'E_LIMIT_UNSUPPORTED',
        `${spec} is run by someone else: its memory and CPU cannot be limited from here.`,
        'Leave the limits out, or use docker:IMAGE for both arms.',
      );
    }
    const server = await connectTo(address, spec);
    if ((await server.info('cluster')).cluster_enabled !== '1') return server;
    await server[Symbol.asyncDispose]();
    const { nodes } = await askOrReport(spec, readSlots(address));
    if (nodes.length === 0) {
      throw new CutoverError(
        'cannotRun',
        'E_CLUSTER_SLOTS',
        `${spec} is in cluster mode, and no node serves any slot.`,
        'Form the cluster first (redis-cli --cluster create), or name a server without cluster mode.',
      );
    }
    const connected = await allOrNone(nodes.map((node) => connectTo(node, `${spec}, node ${node.host}:${node.port}`)));
    return asOneServer(spec, connected, {});
  },
};

async function connectTo(address: ServerAddress, spec: string): Promise<RunningServer> {
  let control: ControlConnection;
  try {
    control = await connect(address, RECONNECTS);
  } catch (error) {
    throw explain(spec, address, error);
  }
  const { info, config, close } = control;
  let who: Awaited<ReturnType<typeof control.identify>>;
  try {
    who = await control.identify();
  } catch (error) {
    close();
    throw explain(spec, address, error);
  }
  const { processId: _, ...identity } = who;
  return {
    identity: { spec, provider: 'url', ...identity },
    address,
    ours: false,
    info: (section) => askOrReport(spec, info(section)),
    config: () => askOrReport(spec, config()),
    died: control.lost.then((reason): ServerExit => ({ atMs: Date.now(), how: `no longer answers: ${reason}` })),
    logTail: async () => [],
    async [Symbol.asyncDispose]() {
      close();
    },
  };
}

/**
 * Splits a server URL into the address, with credentials, and the same URL without them.
 * `unix:/run/redis.sock`, `unix://user:password@/run/redis.sock`; user and password are percent-encoded.
 */
export function parseServerUrl(text: string): { address: ServerAddress; spec: string } {
  const socket = /^unix:(?:\/\/)?(?:([^@/]*)@)?(\/.*)$/.exec(text);
  if (socket) {
    const [username = '', ...password] = (socket[1] ?? '').split(':');
    const path = socket[2]!;
    return {
      address: { host: 'localhost', port: 0, path, ...credentials(username, password.join(':')) },
      spec: `unix:${path}`,
    };
  }
  let url: URL;
  try {
    url = new URL(text);
    if (!url.hostname) throw new Error('no host');
  } catch {
    throw new CutoverError(
      'usage',
      'E_SERVER_SPEC',
      'The server URL cannot be read (not shown: it may hold a password).',
      [
        'Write redis://HOST:PORT, rediss://USER:PASSWORD@HOST:PORT or unix:/PATH; special characters in a password as %XX.',
      ],
    );
  }
  const port = Number(url.port || DEFAULT_PORT);
  const spec = `${url.protocol}//${url.hostname}:${port}`;
  if (!/^\/?$/.test(url.pathname) || url.search || url.hash) {
    throw new CutoverError(
      'usage',
      'E_SERVER_SPEC',
      `${spec}: a database or parameters after the port mean nothing here: the workload selects its own databases.`,
      `Write ${spec}.`,
    );
  }
  return {
    address: {
      // IPv6 addresses are bracketed in URLs only.
      host: url.hostname.replace(/^\[|\]$/g, ''),
      port,
      ...(/^(rediss|valkeys):$/.test(url.protocol) ? { tls: true } : {}),
      ...credentials(url.username, url.password),
    },
    spec,
  };
}

function credentials(username: string, password: string): Pick<ServerAddress, 'username' | 'password'> {
  return {
    ...(username ? { username: decode(username) } : {}),
    ...(password ? { password: decode(password) } : {}),
  };
}

/** A `%` that encodes nothing stands for itself: passwords are pasted as they are. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** What kept us from the server, and what to do; without the error itself, which may carry the credentials. */
export function explain(spec: string, address: ServerAddress, error: unknown): CutoverError {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  const message = messageOf(error);
  const [what, advice] = ((): [string, string] => {
    if (/^(WRONGPASS|NOAUTH|ERR.*AUTH|ERR invalid password)/.test(message)) {
      return address.password === undefined
        ? ['it asks for a password', 'Put it into the URL: redis://USER:PASSWORD@HOST:PORT (the user may be left out).']
        : [
            'it refused the user or the password',
            'Check both with redis-cli; special characters are written as %XX in a URL.',
          ];
    }
    if (/^NOPERM/.test(message)) {
      return [
        'this user may not run PING and INFO',
        "Grant it: ACL SETUSER NAME +ping +info +config|get, beside the workload's commands.",
      ];
    }
    if (/^DENIED/.test(message)) {
      return ['it is in protected mode and refuses other hosts', 'Give it a password, or run cutover on its host.'];
    }
    if (code === 'ECONNREFUSED') return ['nothing listens there', 'Is the server running, and is this its port?'];
    if (code === 'ENOTFOUND' || code === 'EAI_AGAIN')
      return ['the host name is unknown', 'Check the name and the DNS of this machine.'];
    if (code === 'ENOENT') return ['there is no such socket', 'Check the path; `CONFIG GET unixsocket` tells it.'];
    if (code === 'EACCES')
      return ['this user may not open the socket', 'See `unixsocketperm` and the groups of this user.'];
    if (address.tls && /ETIMEDOUT/.test(`${code} ${message}`)) {
      // A plain server takes the handshake for the beginning of a command and waits for the rest.
      return ['no answer to the TLS handshake', 'If the server speaks plain, write redis:// instead of rediss://.'];
    }
    if (/ETIMEDOUT|EHOSTUNREACH|ENETUNREACH/.test(`${code} ${message}`)) {
      return ['no answer', 'A firewall, or the wrong address? Try redis-cli from this machine.'];
    }
    if (/CERT|SELF_SIGNED|UNABLE_TO/.test(code)) {
      return [`its certificate is not trusted (${code})`, 'Name the authority: NODE_EXTRA_CA_CERTS=ca.pem cutover …'];
    }
    if (/SSL|TLS|EPROTO/.test(`${code} ${message}`)) {
      return ['the TLS handshake failed', 'If the server speaks plain, write redis:// instead of rediss://.'];
    }
    if (!address.tls && /closed|ECONNRESET/.test(`${code} ${message}`)) {
      return ['it closed the connection at once', 'If the server expects TLS, write rediss:// instead of redis://.'];
    }
    return [message, 'Try redis-cli from this machine with the same address.'];
  })();
  return new CutoverError('cannotRun', 'E_SERVER_UNREACHABLE', `Cannot use ${spec}: ${what}.`, advice);
}
