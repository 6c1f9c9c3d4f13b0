/** What every command shares: exit codes, clean JSON errors, silence on a closed pipe. */
import { Command, Errors } from '@oclif/core';
import { CutoverError, EXIT_CODES } from '../errors.ts';

type Failure = Parameters<Command['catch']>[0] & { code?: string | undefined; suggestions?: string[] | undefined };

/** A closed stdout (`cutover model x | head`) is the reader's choice, not an error. */
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

export abstract class BaseCommand extends Command {
  static override enableJsonFlag = true;

  protected override async catch(error: Failure): Promise<void> {
    if (!(error instanceof CutoverError) && !(error instanceof Errors.CLIError)) {
      error.oclif ??= { exit: EXIT_CODES.bug.code };
      error.code ??= 'E_BUG';
      error.suggestions ??= [
        'This is a bug in cutover. Please report it with the command line and the stack (DEBUG=*).',
      ];
    }
    if (!this.jsonEnabled() && process.exitCode === undefined)
      process.exitCode = error.oclif?.exit ?? EXIT_CODES.bug.code;
    await super.catch(error);
  }

  protected override toErrorJson(error: Failure): unknown {
    const exit = error.oclif?.exit ?? EXIT_CODES.bug.code;
    return {
      schema: 'cutover/error@1',
      error: {
        code: error.code ?? (exit === EXIT_CODES.bug.code ? 'E_BUG' : 'E_USAGE'),
        message: error.message,
        advice: error.suggestions ?? [],
        exitCode: exit,
      },
    };
  }
}
