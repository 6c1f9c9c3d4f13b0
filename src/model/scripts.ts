/** Scripts and functions: their bodies, what the calls of unknown ones did, and a stretch of calls in their order. */
import { createHash } from 'node:crypto';
import type { FitOp } from './fit.ts';
import { latin1 } from './roles.ts';
import { intern } from './tally.ts';
import { type Call, slotsOf } from './units.ts';

export const MAX_EFFECTS = 64;
const MAX_EFFECT_CALLS = 128;
/** The stretch of calls that is kept whole: enough for the life of many jobs, small enough for a file. */
export const MAX_STRETCH_CALLS = 4096;
export const MAX_STRETCH_BYTES = 192 * 1024;
const MAX_CALL_BYTES = 16_384;

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
  effects: Map<string, { count: number; calls: Call[] }>;
}

export class ScriptBook {
  readonly scripts: ScriptState[] = [];
  /** Arguments of the calls that are kept, each once; latin1. */
  readonly texts: string[] = [];
  readonly calls: ScriptCall[] = [];
  /** No further call is kept: what comes later would be out of order. */
  full = false;
  private bytes = 0;
  private readonly numbers = new Map<string, number>();
  private readonly textNumbers = new Map<string, number>();
  private open: { line: number; script: ScriptState; calls: Call[] } | undefined;

  /** `bodies`: script bodies that the user has beside the capture. */
  constructor(bodies: Uint8Array[]) {
    for (const body of bodies) this.script(sha1(body), 'script').body = body;
  }

  /** Number of the called script, and of the call if it is kept. */
  learnCall(op: FitOp): { script: number; call: number | undefined } {
    this.closeCall();
    const isFunction = op.command.startsWith('fcall');
    const isSha = op.command.startsWith('evalsha');
    const name = isFunction || isSha ? latin1(op.arg(1)) : sha1(op.arg(1));
    const script = this.script(isSha ? name.toLowerCase() : name, isFunction ? 'function' : 'script');
    script.calls++;
    this.open = { line: op.line, script, calls: [] };
    return { script: this.numbers.get(script.sha1)!, call: this.keep(op, this.numbers.get(script.sha1)!) };
  }

  /** What a script's call did. */
  learnChild(parentLine: number, call: Call): void {
    if (this.open?.line === parentLine && this.open.calls.length < MAX_EFFECT_CALLS) this.open.calls.push(call);
  }

  /** Bodies stand in EVAL, SCRIPT LOAD and FUNCTION LOAD lines only. */
  noteBodies(op: FitOp): void {
    const loads = () => latin1(op.arg(1)).toLowerCase() === 'load';
    if (op.command === 'eval' || op.command === 'eval_ro') {
      if (op.argCount > 1) this.script(sha1(op.arg(1)), 'script').body ??= Uint8Array.from(op.arg(1));
    } else if (op.command === 'script' && op.argCount === 3 && loads()) {
      this.script(sha1(op.arg(2)), 'script').body ??= Uint8Array.from(op.arg(2));
    } else if (op.command === 'function' && op.argCount >= 3 && loads()) {
      const body = Uint8Array.from(op.arg(op.argCount - 1));
      // A library is one body for every function that it registers.
      for (const match of latin1(body).matchAll(
        /register_function\s*[({]\s*(?:function_name\s*=\s*)?['"]([\w]+)['"]/g,
      )) {
        this.script(match[1]!, 'function').body ??= body;
      }
    }
  }

  closeCall(): void {
    if (!this.open) return;
    const { script, calls } = this.open;
    this.open = undefined;
    const key = JSON.stringify(slotsOf(calls));
    const known = script.effects.get(key);
    if (known) known.count++;
    else if (script.effects.size < MAX_EFFECTS) script.effects.set(key, { count: 1, calls });
  }

  private keep(op: FitOp, script: number): number | undefined {
    if (this.full) return undefined;
    const keys = op.argCount > 2 ? Number(latin1(op.arg(2))) : Number.NaN;
    let bytes = 0;
    for (let i = 3; i < op.argCount; i++) bytes += op.argLength(i);
    const valid = Number.isInteger(keys) && keys >= 0 && keys + 3 <= op.argCount && bytes <= MAX_CALL_BYTES;
    if (!valid) return undefined;
    if (this.calls.length >= MAX_STRETCH_CALLS || this.bytes >= MAX_STRETCH_BYTES) {
      this.full = true;
      return undefined;
    }
    const texts = Array.from({ length: op.argCount - 3 }, (_, i) => this.text(latin1(op.arg(3 + i))));
    return this.calls.push({ script, keys: texts.slice(0, keys), args: texts.slice(keys) }) - 1;
  }

  private text(text: string): number {
    this.bytes += 4;
    return intern(this.textNumbers, text, () => {
      this.bytes += text.length;
      return this.texts.push(text) - 1;
    });
  }

  private script(name: string, kind: 'script' | 'function'): ScriptState {
    const number = intern(
      this.numbers,
      name,
      () => this.scripts.push({ sha1: name, kind, body: undefined, calls: 0, effects: new Map() }) - 1,
    );
    return this.scripts[number]!;
  }
}

const sha1 = (bytes: Uint8Array) => createHash('sha1').update(bytes).digest('hex');
