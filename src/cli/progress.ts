/** What is happening now, on stderr: one redrawn line on a TTY, one line a few seconds elsewhere, nothing with --json. */

const PLAIN_EVERY_MS = 5000;
const REDRAW_EVERY_MS = 100;

export class Progress {
  private readonly silent: boolean;
  private shownAt = 0;
  private drawn = false;

  constructor(silent: boolean) {
    this.silent = silent;
  }

  /** Shows a line of at most the terminal's width; `always` for what must not be skipped when not on a TTY. */
  show(text: string, always = false): void {
    if (this.silent) return;
    const now = Date.now();
    const { isTTY, columns = 80 } = process.stderr;
    if (isTTY) {
      if (!always && now - this.shownAt < REDRAW_EVERY_MS) return;
      process.stderr.write(`\r\u001b[2K${text.slice(0, columns - 1)}`);
      this.drawn = true;
    } else {
      if (!always && now - this.shownAt < PLAIN_EVERY_MS) return;
      // Nothing is said of work that is done before anybody wonders.
      if (this.shownAt === 0 && !always) {
        this.shownAt = now;
        return;
      }
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
