/** What is happening now, on stderr: one redrawn line on a TTY, one line a few seconds elsewhere, nothing with --json. */

const PLAIN_EVERY_MS = 5000;
const REDRAW_EVERY_MS = 100;

export class Progress {
  private readonly silent: boolean;
  private readonly startedAt = Date.now();
  private shownAt = 0;
  private drawn = false;

  constructor(silent: boolean) {
    this.silent = silent;
  }

  show(text: string): void {
    if (this.silent) return;
    const now = Date.now();
    const { isTTY, columns = 80 } = process.stderr;
    if (isTTY) {
      if (now - this.shownAt < REDRAW_EVERY_MS) return;
      process.stderr.write(`\r\u001b[2K${text.slice(0, columns - 1)}`);
      this.drawn = true;
    } else {
      // Nothing is said of work that is done before anybody wonders.
      if (now - Math.max(this.shownAt, this.startedAt) < PLAIN_EVERY_MS) return;
      process.stderr.write(`${text}\n`);
    }
    this.shownAt = now;
  }

  /** Takes the line away, so that what follows stands on a clean one. */
  done(): void {
    if (this.drawn) process.stderr.write('\r\u001b[2K');
    this.drawn = false;
  }
}
