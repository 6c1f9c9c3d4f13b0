/** Scripts and a server that compiles them → where the server and our parser disagree. */
import type { ParseError, ScriptUnit } from './sources/unit.ts';
import { parseLua } from './syntax.ts';

/** A server that can be asked whether it compiles a script; asking runs nothing. */
export interface Compiler {
  /** `valkey 8.0.1`. */
  name: string;
  /** The server's error, or undefined where it compiles the script. */
  compile(script: Buffer): Promise<string | undefined>;
}

export interface Verification {
  server: string;
  /** Scripts that were asked about: complete ones, equal ones once. */
  scripts: number;
  /** How many of them the server compiles. */
  compiled: number;
  /** Read here as Lua 5.1, and refused by the server: their shebang, a limit of its compiler, or our error. */
  refused: ParseError[];
  /** Compiled by the server, and not read here: nothing was said of them, and that is our error. */
  unread: ParseError[];
}

/** Templates and parts of scripts are left out, and function libraries: FUNCTION LOAD would keep them. */
const isComplete = ({ fragment, holes, text }: ScriptUnit) =>
  !fragment && holes.length === 0 && !/^#!.*\bname=|\bregister_function\b/.test(text);

export async function verifyScripts(units: ScriptUnit[], compiler: Compiler): Promise<Verification> {
  const distinct = new Map(units.filter(isComplete).map((unit) => [unit.text, unit]));
  const verification: Verification = {
    server: compiler.name,
    scripts: distinct.size,
    compiled: 0,
    refused: [],
    unread: [],
  };
  for (const unit of distinct.values()) {
    const refusal = await compiler.compile(Buffer.from(unit.text, 'latin1'));
    if (refusal === undefined) verification.compiled++;
    const parsed = parseLua(unit.text);
    if (refusal !== undefined && 'chunk' in parsed) {
      const [, line = '1', reason = refusal] = /user_script:(\d+): (.*)/s.exec(refusal) ?? [];
      verification.refused.push(problemAt(unit, offsetOfLine(unit.text, Number(line)), reason.trim()));
    } else if (refusal === undefined && 'problem' in parsed) {
      verification.unread.push(problemAt(unit, parsed.problem.offset, parsed.problem.message));
    }
  }
  return verification;
}

function problemAt(unit: ScriptUnit, offset: number, message: string): ParseError {
  const { file, line, column } = unit.place(offset);
  return unit.capture
    ? { file, line: unit.capture.line, column: 1, message: `line ${line} of the script: ${message}` }
    : { file, line, column, message };
}

/** Where line `line` (from 1) begins. */
function offsetOfLine(text: string, line: number): number {
  let offset = 0;
  for (let i = 1; i < line; i++) offset = text.indexOf('\n', offset) + 1;
  return offset;
}
