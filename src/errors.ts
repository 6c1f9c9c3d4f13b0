/** The one error type that users see, and the one table of exit codes. */

/** Every exit code of the tool: name → code and meaning. `--help` and the README print this table. */
export const EXIT_CODES = {
  pass: { code: 0, meaning: 'pass, or nothing found' },
  fail: { code: 1, meaning: 'fail: over budget, or findings' },
  usage: { code: 2, meaning: 'usage or configuration: a flag, a file or its contents' },
  cannotRun: { code: 3, meaning: 'cannot run here: no engine, no binary, a server refused or died' },
  inconclusive: { code: 4, meaning: 'inconclusive: too noisy or too little data (see --on-inconclusive)' },
  invalid: { code: 5, meaning: 'invalid: generator, host or configuration spoiled the measurement' },
  bug: { code: 70, meaning: 'a bug in cutover' },
  interrupted: { code: 130, meaning: 'interrupted' },
} as const;

export type ExitName = keyof typeof EXIT_CODES;

/**
 * An error that a user can act on: what happened in `message`, what to do next in `advice`.
 * `suggestions` and `oclif.exit` are the field names that oclif reads, so that nothing below `cli` imports oclif.
 */
export class CutoverError extends Error {
  override readonly name = 'CutoverError';
  /** Stable, machine-readable: `E_CAPTURE_EMPTY`. */
  readonly code: string;
  readonly suggestions: string[];
  readonly oclif: { exit: number };

  constructor(exit: ExitName, code: string, message: string, advice: string | string[], options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.suggestions = Array.isArray(advice) ? advice : [advice];
    this.oclif = { exit: EXIT_CODES[exit].code };
  }
}

/** The message of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Something the reader must know, as data: reports show every one of them; nothing prints one from inside a loop. */
export interface Caveat {
  /** Kebab-case, stable: `commands-left-out`. */
  id: string;
  message: string;
  advice: string;
  /** The figures that the message was made from. */
  numbers?: Record<string, number>;
}

/** The file that the user named for output cannot be written. */
export function cannotWrite(path: string, error: unknown): CutoverError {
  return new CutoverError(
    'usage',
    'E_OUTPUT',
    `Cannot write ${path}: ${messageOf(error)}.`,
    'Name a file in a folder that exists and that you may write to.',
  );
}
