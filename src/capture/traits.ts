/** A command's name → what of it matters to those that are sent before and after it, in one number. */
import { COMMANDS } from './commands.ts';
import { Role, roleOf } from './dialect.ts';

export const SCRIPT_CALLS = new Set(['eval', 'eval_ro', 'evalsha', 'evalsha_ro', 'fcall', 'fcall_ro']);
/** While a script keeps the server busy, others may still send these between its children. */
const ALLOWED_WHILE_BUSY = new Set([
  'watch',
  'unwatch',
  'multi',
  'discard',
  'auth',
  'hello',
  'script',
  'function',
  'shutdown',
  'reset',
  'quit',
]);
/** Commands with credentials among their arguments. */
const SECRETIVE = new Set(['auth', 'acl', 'config', 'hello', 'migrate']);

export const Trait = { callsScript: 1, allowedWhileBusy: 2, secretive: 4, connection: 8 } as const;

/** Those that make a command notable, see `Batch`. */
export const NOTABLE_TRAITS = Trait.callsScript | Trait.secretive | Trait.connection;

/** 0 for most. */
export function traitsOf(command: string): number {
  return (
    (SCRIPT_CALLS.has(command) ? Trait.callsScript : 0) |
    (ALLOWED_WHILE_BUSY.has(command) ? Trait.allowedWhileBusy : 0) |
    (SECRETIVE.has(command) ? Trait.secretive : 0) |
    (roleOf(command, COMMANDS.get(command)) === Role.connection ? Trait.connection : 0)
  );
}
