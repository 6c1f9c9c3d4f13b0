/** Which commands a rehearsal replays, which belong to connection set-up, and which must never be sent. */
import { COMMANDS } from '../capture/commands.ts';
import { isSubscription } from './fit/subscriptions.ts';

/** Handshakes and monitoring: done once per connection or by other tools; no part of the mix. */
const SET_UP = new Set([
  ...[
    'hello',
    'auth',
    'client',
    'select',
    'ping',
    'echo',
    'info',
    'command',
    'readonly',
    'readwrite',
    'asking',
    'quit',
    'reset',
  ],
  ...[
    'dbsize',
    'lastsave',
    'time',
    'role',
    'memory',
    'lolwut',
    'cluster',
    'latency',
    'slowlog',
    'commandlog',
    'monitor',
  ],
]);

/** Destroys data, moves it elsewhere, blocks the server for everybody, or talks to the server's administrator. */
const NEVER = new Set([
  ...[
    'keys',
    'flushall',
    'flushdb',
    'swapdb',
    'migrate',
    'restore',
    'restore-asking',
    'dump',
    'object',
    'debug',
    'randomkey',
  ],
  ...[
    'shutdown',
    'replicaof',
    'slaveof',
    'failover',
    'save',
    'bgsave',
    'bgrewriteaof',
    'config',
    'acl',
    'module',
    'sync',
    'psync',
    'replconf',
  ],
  ...['script', 'function', 'wait', 'waitaof', 'pfdebug', 'pfselftest', 'move', 'clusterscan'],
]);

/** `subscription`: what a connection listens to is held while a slice runs, not sent as one of its ops. */
export type Treatment = 'replay' | 'set-up' | 'subscription' | 'left-out';

/** What happens to a command (lower case) in a rehearsal. Unknown commands are left out: they could be anything. */
export function treatmentOf(command: string): Treatment {
  if (SET_UP.has(command)) return 'set-up';
  if (isSubscription(command)) return 'subscription';
  const info = COMMANDS.get(command);
  if (!info || NEVER.has(command) || info.admin) return 'left-out';
  // PUBSUB asks about the server's state; PUBLISH is an ordinary command.
  if (info.pubsub && command !== 'publish' && command !== 'spublish') return 'left-out';
  return 'replay';
}
