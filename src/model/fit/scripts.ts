/** Scripts and functions: their bodies, what the calls of unknown ones did, and a stretch of calls in their order. */
import { createHash } from 'node:crypto';
import { hash64, hashHigh, hashLow } from '../../capture/key-hash.ts';
import { intern } from '../tally.ts';
import type { FitOp } from './fit.ts';
import { LeftKeys } from './left-keys.ts';
import { PairTable } from './pair-table.ts';
import { latin1 } from './roles.ts';
import { NumberList } from './shapes.ts';
import { type Calls, ChainHash } from './units.ts';

export const MAX_EFFECTS = 64;
const MAX_EFFECT_CALLS = 128;
/** The stretch of calls that is kept whole: enough for the life of many jobs, small enough for a file. */
export const MAX_STRETCH_CALLS = 4096;
export const MAX_STRETCH_BYTES = 192 * 1024;
const MAX_CALL_BYTES = 16_384;
/** Scripts that are recognised by their hash: more than anyone has. */
const MAX_NAMED = 1 << 16;
/** Scripts and functions in the book, of each kind: more than any application has, but for one that writes its data into bodies. */
export const MAX_SCRIPTS = 1024;
/** Of a body beyond it only the name is kept, and what its calls do. */
const MAX_BODY_BYTES = 4 << 20;

/** A call's keys and arguments, as numbers of texts. */
export interface ScriptCall {
  script: number;
  keys: number[];
  args: number[];
}

export interface ScriptState {
  sha1: string;
  kind: 'script' | 'function';
  body: Uint8Array | undefined;
  calls: number;
  /** What calls did, as far as the body is not known; by hash. */
  effects: Map<number, { count: number; ops: [shape: number, slots: number[]][] }>;
}

/** The call whose children come, if there is a script. */
interface OpenCall {
  line: number;
  script: ScriptState | undefined;
  /** Chain of what it did so far. */
  first: number;
  last: number;
  count: number;
}

export class ScriptBook {
  readonly scripts: ScriptState[] = [];
  /** Arguments of the calls that are kept, each once; latin1. */
  readonly texts: string[] = [];
  readonly calls: ScriptCall[] = [];
  /** What the kept calls left. */
  readonly left = new LeftKeys();
  /** No further call is kept: what comes later would be out of order. Set twice, see `AccessLog`. */
  full = true;
  /** Set by `learnCall`: number of the call if it is kept, else -1. */
  kept = -1;
  /** Calls of scripts that the book has no room for; they count as calls of the one that came into it last. */
  unkeptCalls = 0;
  private bytes = 0;
  private bodyBytes = 0;
  /** Scripts of each kind, and the last of them. */
  private readonly kinds = { script: { count: 0, last: -1 }, function: { count: 0, last: -1 } };
  private readonly numbers = new Map<string, number>();
  private readonly textNumbers = new Map<string, number>();
  /** Scripts by the hash of how a call names them: their bodies are long. */
  private readonly named = new PairTable();
  private readonly numberOfNamed: number[] = [];
  private readonly open: OpenCall = { line: 0, script: undefined, first: 0, last: 0, count: 0 };
  private readonly chain: Calls;
  private readonly hash: ChainHash;

  /** `bodies`: script bodies that the user has beside the capture; `chain`: where what scripts did is learnt. */
  constructor(bodies: Uint8Array[], chain: Calls) {
    this.chain = chain;
    this.hash = new ChainHash(chain);
    this.full = false;
    for (const body of bodies) this.scripts[this.write(sha1(body), 'script')]!.body = body;
  }

  /** Number of the called script. */
  learnCall(op: FitOp): number {
    this.closeCall();
    const { unkeptCalls } = this;
    const number = this.called(op);
    // The script that it counts for would be called with another's arguments.
    const isOwn = this.unkeptCalls === unkeptCalls;
    const script = this.scripts[number]!;
    script.calls++;
    this.open.line = op.line;
    this.open.script = script;
    this.kept = this.full || !isOwn ? -1 : this.keep(op, number);
    return number;
  }

  /** Whether what a script's call does is done by one of the kept ones. */
  keeps(parentLine: number): boolean {
    return this.kept >= 0 && this.open.line === parentLine;
  }

  /** What a script's call did: the chain of one call, which is the book's from now on. */
  learnChild(parentLine: number, first: number, last: number): void {
    const { open, chain } = this;
    // What a script does whose body is known need not be remembered.
    if (!open.script || open.line !== parentLine || open.script.body || open.count === MAX_EFFECT_CALLS) {
      chain.release(first, last);
      return;
    }
    if (open.first === 0) open.first = first;
    else chain.next[open.last] = first;
    open.last = last;
    open.count++;
  }

  /** Bodies stand in EVAL, SCRIPT LOAD and FUNCTION LOAD lines only. */
  noteBodies(op: FitOp): void {
    const loads = () => latin1(op.arg(1)).toLowerCase() === 'load';
    if (op.command === 'eval' || op.command === 'eval_ro') {
      this.noteBody(sha1(op.arg(1)), 'script', op.arg(1));
    } else if (op.command === 'script' && op.argCount === 3 && loads()) {
      this.noteBody(sha1(op.arg(2)), 'script', op.arg(2));
    } else if (op.command === 'function' && op.argCount >= 3 && loads()) {
      const body = Uint8Array.from(op.arg(op.argCount - 1));
      // A library is one body for every function that it registers.
      for (const match of latin1(body).matchAll(
        /register_function\s*[({]\s*(?:function_name\s*=\s*)?['"]([\w]+)['"]/g,
      )) {
        this.noteBody(match[1]!, 'function', body);
      }
    }
  }

  closeCall(): void {
    const { open } = this;
    const { script, first, last, count } = open;
    if (!script) return;
    open.script = undefined;
    open.first = 0;
    open.count = 0;
    if (!script.body) {
      this.hash.of(first, count, NO_STEPS);
      const hash = (this.hash.low >>> 0) * 2 ** 20 + this.hash.high;
      const known = script.effects.get(hash);
      if (known) known.count++;
      else if (script.effects.size < MAX_EFFECTS) script.effects.set(hash, { count: 1, ops: this.chain.slots(first) });
    }
    this.chain.release(first, last);
  }

  private noteBody(name: string, kind: 'script' | 'function', body: Uint8Array): void {
    const script = this.scripts[this.script(name, kind)];
    if (!script || script.body || this.bodyBytes + body.length > MAX_BODY_BYTES) return;
    script.body = Uint8Array.from(body);
    this.bodyBytes += body.length;
  }

  /** Number of the script that the call names or holds. */
  private called(op: FitOp): number {
    const { command } = op;
    // As it is printed: what is the same to the eye is the same script.
    hash64(op.bytes, op.argStart(1), op.argEnd(1), command.length);
    const known = this.named.find(hashLow, hashHigh);
    if (known >= 0) return this.numberOfNamed[known]!;
    const [low, high] = [hashLow, hashHigh];
    this.noteBodies(op);
    const isFunction = command.startsWith('fcall');
    const isSha = command.startsWith('evalsha');
    const name = isFunction || isSha ? latin1(op.arg(1)) : sha1(op.arg(1));
    const kind = isFunction ? 'function' : 'script';
    const number = this.script(isSha ? name.toLowerCase() : name, kind);
    if (number < 0) {
      this.unkeptCalls++;
      return this.kinds[kind].last;
    }
    if (this.named.size < MAX_NAMED) this.numberOfNamed[this.named.add(low, high)] = number;
    return number;
  }

  /** Number of the call, or -1 if it is not kept. */
  private keep(op: FitOp, script: number): number {
    const keys = op.argCount > 2 ? Number(latin1(op.arg(2))) : Number.NaN;
    let bytes = 0;
    for (let i = 3; i < op.argCount; i++) bytes += op.argLength(i);
    const valid = Number.isInteger(keys) && keys >= 0 && keys + 3 <= op.argCount && bytes <= MAX_CALL_BYTES;
    if (!valid) return -1;
    if (this.calls.length >= MAX_STRETCH_CALLS || this.bytes >= MAX_STRETCH_BYTES) {
      this.full = true;
      return -1;
    }
    const texts = Array.from({ length: op.argCount - 3 }, (_, i) => this.text(latin1(op.arg(3 + i))));
    this.left.nextCall();
    return this.calls.push({ script, keys: texts.slice(0, keys), args: texts.slice(keys) }) - 1;
  }

  /** Number of a text. */
  text(text: string): number {
    this.bytes += 4;
    return intern(this.textNumbers, text, () => {
      this.bytes += text.length;
      return this.texts.push(text) - 1;
    });
  }

  /** Number of a script, which is written into the book if it is new; -1 if there is no room. */
  private script(name: string, kind: 'script' | 'function'): number {
    const known = this.numbers.get(name);
    if (known !== undefined) return known;
    return this.kinds[kind].count < MAX_SCRIPTS ? this.write(name, kind) : -1;
  }

  private write(name: string, kind: 'script' | 'function'): number {
    return intern(this.numbers, name, () => {
      const number = this.scripts.push({ sha1: name, kind, body: undefined, calls: 0, effects: new Map() }) - 1;
      this.kinds[kind].count++;
      this.kinds[kind].last = number;
      return number;
    });
  }
}

const NO_STEPS = new NumberList(0);
const sha1 = (bytes: Uint8Array) => createHash('sha1').update(bytes).digest('hex');
