/** A MONITOR capture → the scripts in it with how often each was called, and its commands counted by shape. */
import { createHash } from 'node:crypto';
import { commandInfo } from '../../capture/commands.ts';
import type { OpView } from '../../capture/ops.ts';
import { Capture, type CaptureOptions } from '../../capture/read.ts';
import { findOptions, hasSubcommands, type UsedOption } from '../commands.ts';
import { placesIn, type ScriptUnit } from './unit.ts';

/** Commands that look alike to a rule: same name, options, words, circumstances. */
export interface CapturedCommand {
  /** Lower case, with subcommand: `xinfo stream`. */
  name: string;
  /** Options that it uses, where its command's options differ between releases. */
  options: UsedOption[];
  /** Arguments behind the name (and subcommand) of the first such command; at most `MAX_ARGS`, each cut to `MAX_ARG_BYTES`. */
  args: string[];
  argCount: number;
  /** Sent between MULTI and EXEC; MULTI itself only where it is nested. */
  inTransaction: boolean;
  /** The client has sent other commands since it last subscribed, if it did: a client with subscriptions could not. */
  unsubscribed: boolean;
  /** Sent by a script whose text the capture does not have. */
  fromScript: boolean;
  /** Of how many such commands. */
  calls: number;
  clients: number;
  /** The capture and the line of the first. */
  file: string;
  line: number;
}

export interface CaptureFindings {
  units: ScriptUnit[];
  commands: CapturedCommand[];
  notes: string[];
}

/** Enough for every option that a rule looks at. */
const MAX_ARGS = 32;
const MAX_ARG_BYTES = 64;
/** Real workloads have hundreds; a hostile capture could have as many as lines. */
const MAX_SHAPES = 20_000;
const MAX_SCRIPTS = 20_000;
/** Words that can be an option or an enumeration's value: `TYPE`, `zset`, `no-writes`. */
const WORD = /^[A-Za-z][A-Za-z-]{0,19}$/;
/** Their arguments are values or keys throughout; words in them would only tell data apart. */
const PLAIN_GROUPS = new Set(['pubsub', 'hyperloglog']);

const ENDS_TRANSACTION = new Set(['exec', 'discard', 'reset']);
const SUBSCRIBES = /^[ps]?subscribe$/;
/** What a client with subscriptions may send. */
const WITH_SUBSCRIPTION = /^(?:[ps]?(?:un)?subscribe|ping|quit|reset)$/;

interface Tally {
  count: number;
  clients: Set<number>;
}

interface ScriptTally extends Tally {
  text?: string;
  line: number;
  /** Every call so far was EVAL_RO or EVALSHA_RO. */
  readOnly: boolean;
  declaredKeys?: number;
}

const tallied = (tally: Tally, client: number) => {
  tally.count++;
  tally.clients.add(client);
};

/** One pass, in bounded memory. Throws CutoverError (usage) as `Capture` does. */
export async function readCapture(name: string, options: CaptureOptions = {}): Promise<CaptureFindings> {
  const capture = new Capture(name, options);
  const scripts = new Map<string, ScriptTally>();
  const shapes = new Map<string, { command: CapturedCommand; tally: Tally; sha: string | undefined }>();
  const transactions = new Set<number>();
  /** Clients whose last commands were none that a client with subscriptions may send. */
  const unsubscribed = new Set<number>();
  let uncounted = 0;
  /** The script whose children follow. */
  let openSha: string | undefined;

  const script = (sha: string, line: number): ScriptTally | undefined => {
    let tally = scripts.get(sha);
    if (!tally && scripts.size < MAX_SCRIPTS) {
      tally = { count: 0, clients: new Set(), line, readOnly: true };
      scripts.set(sha, tally);
    }
    return tally;
  };
  const seeScript = (op: OpView) => {
    const { command } = op;
    openSha = undefined;
    if (command === 'eval' || command === 'eval_ro' || command === 'evalsha' || command === 'evalsha_ro') {
      if (op.argCount < 3) return;
      const text = textOf(op, 1);
      const bySha = command.startsWith('evalsha');
      const sha = bySha ? text.toLowerCase().slice(0, 40) : sha1(text);
      const tally = script(sha, op.line);
      openSha = sha;
      if (!tally) return;
      tallied(tally, op.clientId);
      tally.readOnly &&= command.endsWith('_ro');
      const keys = Number(textOf(op, 2));
      if (Number.isInteger(keys)) tally.declaredKeys = Math.max(keys, tally.declaredKeys ?? 0);
      if (!bySha) define(tally, text, op.line);
    } else if (command === 'script' && op.argCount === 3 && textOf(op, 1).toLowerCase() === 'load') {
      const text = textOf(op, 2);
      const tally = script(sha1(text), op.line);
      if (tally) define(tally, text, op.line);
    } else if (command === 'function' && op.argCount > 2 && textOf(op, 1).toLowerCase() === 'load') {
      const text = textOf(op, op.argCount - 1);
      const tally = script(sha1(text), op.line);
      if (tally) define(tally, text, op.line);
    }
  };

  for await (const op of capture.batches()) {
    while (op.next()) {
      let inTransaction = false;
      if (op.kind === 'command') {
        seeScript(op);
        if (ENDS_TRANSACTION.has(op.command)) transactions.delete(op.clientId);
        inTransaction = transactions.has(op.clientId);
        if (op.command === 'multi') transactions.add(op.clientId);
        if (SUBSCRIBES.test(op.command)) unsubscribed.delete(op.clientId);
        else if (!WITH_SUBSCRIPTION.test(op.command)) unsubscribed.add(op.clientId);
      }
      const child = op.kind === 'script-child';
      const sha = child ? openSha : undefined;
      const command = shapeOf(op, name, {
        inTransaction,
        unsubscribed: !child && unsubscribed.has(op.clientId),
        fromScript: child,
      });
      const key = JSON.stringify([
        command.name,
        command.argCount > 0 ? wordsOf(command) : [],
        inTransaction,
        child,
        sha,
        command.unsubscribed && WITH_SUBSCRIPTION.test(command.name),
      ]);
      let shape = shapes.get(key);
      if (!shape) {
        if (shapes.size >= MAX_SHAPES) {
          uncounted++;
          continue;
        }
        shape = { command, tally: { count: 0, clients: new Set() }, sha };
        shapes.set(key, shape);
      }
      tallied(shape.tally, op.clientId);
    }
  }

  const known = (sha: string | undefined) => sha !== undefined && scripts.get(sha)?.text !== undefined;
  const units = [...scripts].flatMap(([sha, tally]) => (tally.text === undefined ? [] : [unitOf(name, sha, tally)]));
  const unseen = [...scripts.values()].filter(({ text }) => text === undefined);
  const notes: string[] = [];
  if (unseen.length > 0) {
    const calls = unseen.reduce((sum, { count }) => sum + count, 0);
    notes.push(
      `${name}: ${unseen.length} ${unseen.length === 1 ? 'script was' : 'scripts were'} called by EVALSHA only (${calls} calls): ` +
        'their text is not in the capture. What they did is read from the commands they executed; give their source too.',
    );
  }
  if (uncounted > 0)
    notes.push(`${name}: more than ${MAX_SHAPES} different commands; ${uncounted} were not looked at.`);
  return {
    units,
    commands: [...shapes.values()]
      .filter(({ command, sha }) => !command.fromScript || !known(sha))
      .map(({ command, tally }) => ({ ...command, calls: tally.count, clients: tally.clients.size })),
    notes,
  };
}

const textOf = (op: OpView, index: number) => Buffer.from(op.arg(index)).toString('latin1');

const sha1 = (text: string) => createHash('sha1').update(Buffer.from(text, 'latin1')).digest('hex');

function define(tally: ScriptTally, text: string, line: number): void {
  if (tally.text !== undefined) return;
  tally.text = text;
  tally.line = line;
}

function unitOf(
  file: string,
  sha: string,
  { text, line, count, clients, readOnly, declaredKeys }: ScriptTally,
): ScriptUnit {
  const name = `${file}, script ${sha.slice(0, 8)} of line ${line}`;
  return {
    name,
    text: text!,
    holes: [],
    fragment: false,
    place: placesIn(file, text!),
    capture: { file, line },
    calls: count,
    clients: clients.size,
    sha,
    readOnly: readOnly && count > 0,
    ...(declaredKeys === undefined ? {} : { declaredKeys }),
  };
}

function shapeOf(
  op: OpView,
  file: string,
  circumstances: Pick<CapturedCommand, 'inTransaction' | 'unsubscribed' | 'fromScript'>,
): CapturedCommand {
  const args: string[] = [];
  for (let i = 1; i < Math.min(op.argCount, MAX_ARGS); i++) {
    args.push(op.argLength(i) > MAX_ARG_BYTES ? textOf(op, i).slice(0, MAX_ARG_BYTES) : textOf(op, i));
  }
  let name = op.command;
  let { argCount } = op;
  argCount--;
  if (hasSubcommands(name) && args[0] !== undefined && WORD.test(args[0])) {
    name = `${name} ${args.shift()!.toLowerCase()}`;
    argCount--;
  }
  return {
    name,
    options: findOptions(name, args),
    args,
    argCount,
    ...circumstances,
    calls: 0,
    clients: 0,
    file,
    line: op.line,
  };
}

/** The words by which commands are told apart: options and enumerated values, not keys and data. */
function wordsOf({ name, args, options }: CapturedCommand): string[] {
  if (options.length > 0) return options.map(({ token }) => token);
  const [command = '', sub] = name.split(' ');
  const info = commandInfo(command, sub);
  // Commands that read or write data carry words in it; only those without keys are all words.
  if (info === undefined || info.keySpecs.length > 0 || PLAIN_GROUPS.has(info.group)) return [];
  return args.filter((word) => WORD.test(word)).slice(0, 4);
}
