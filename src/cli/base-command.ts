/** What every command shares: exit codes, errors that say what to do next, silence on a closed pipe. */
import { styleText } from 'node:util';
import { Command, Errors } from '@oclif/core';
import { CutoverError, EXIT_CODES } from '../errors.ts';
import { printable } from '../printable.ts';
import { stringifySafely } from '../report/json.ts';

type Failure = Parameters<Command['catch']>[0] & { code?: string | undefined; suggestions?: string[] | undefined };

/** A closed stdout (`cutover model x | head`) is the reader's choice, not an error. */
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

export abstract class BaseCommand extends Command {
  static override enableJsonFlag = true;

  protected override async catch(error: Failure): Promise<void> {
    if (error instanceof CutoverError) {
      // What a flag's parser throws comes wrapped in words of the framework.
      error.message = error.message.replace(/^Parsing --\S+ ?\n\t/, '').replace(/\nSee more help with --help$/, '');
    } else if (error instanceof Errors.CLIError) {
      error.oclif.exit ??= EXIT_CODES.usage.code;
    } else {
      error.oclif = { ...error.oclif, exit: EXIT_CODES.bug.code };
      error.suggestions = ['This is a bug in cutover: please report the command line and what is printed here.'];
    }
    if (this.jsonEnabled() || !(error instanceof CutoverError)) return super.catch(error);
    this.logToStderr(explain(error));
    process.exitCode = error.oclif.exit;
  }

  /** Documents hold names from captures: what a terminal would obey is escaped. */
  protected override logJson(json: unknown): void {
    process.stdout.write(`${stringifySafely(json)}\n`);
  }

  protected override toErrorJson(error: Failure): unknown {
    const exitCode = error.oclif?.exit ?? EXIT_CODES.bug.code;
    process.exitCode = exitCode;
    return {
      schema: 'cutover/error@1',
      error: {
        code: error.code ?? (exitCode === EXIT_CODES.bug.code ? 'E_BUG' : 'E_USAGE'),
        message: error.message,
        advice: error.suggestions ?? [],
        exitCode,
      },
    };
  }
}

/** One paragraph, then what to do next. Nothing from a file or a server reaches the terminal but printable text. */
function explain({ message, suggestions }: CutoverError): string {
  const lines = (text: string) => text.split('\n').map(printable).join('\n');
  const title = styleText(['bold', 'red'], 'Error:', { stream: process.stderr });
  return [`${title} ${lines(message)}`, ...suggestions.map((advice) => `  → ${lines(advice)}`)].join('\n');
}
