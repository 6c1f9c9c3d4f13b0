/** What is happening now, on stderr: redrawn in place on a TTY, a line every few seconds elsewhere, nothing with --json. */
import { stripVTControlCharacters } from 'node:util';

const PLAIN_EVERY_MS = 5000;
const REDRAW_EVERY_MS = 100;

const HIDE_CURSOR = '\u001b[?25l';
const SHOW_CURSOR = '\u001b[?25h';
/** Synchronized output: the terminal shows the frame when it is complete. Terminals without it ignore the mode. */
const BEGIN_FRAME = '\u001b[?2026h';
const END_FRAME = '\u001b[?2026l';
/** The terminal cuts lines that are too long, instead of breaking them. */
const WRAP_OFF = '\u001b[?7l';
const WRAP_ON = '\u001b[?7h';
const ERASE_LINE_END = '\u001b[K';
const ERASE_BELOW = '\u001b[J';

export class Progress {
  readonly silent: boolean;
  private readonly stream: NodeJS.WriteStream;
  private readonly startedAt = Date.now();
  private shownAt = 0;
  /** Widths of the lines that stand above the cursor. */
  private drawn: number[] = [];
  private readonly restoreCursor = () => this.stream.write(SHOW_CURSOR);
  /** After Ctrl-Z and `fg` the shell's lines stand above the cursor, not ours. */
  private readonly forget = () => {
    this.drawn = [];
  };

  constructor(silent: boolean, stream: NodeJS.WriteStream = process.stderr) {
    this.silent = silent;
    this.stream = stream;
  }

  /** True where `show` draws blocks. */
  get interactive(): boolean {
    return !this.silent && this.stream.isTTY;
  }

  /** Shows a block on a TTY, else `plain`, the same in one line; more often than anybody can read it, it does nothing. */
  show(block: string | string[], plain = typeof block === 'string' ? block : block.join('; ')): void {
    if (this.silent) return;
    const now = Date.now();
    if (this.interactive) {
      if (now - this.shownAt < REDRAW_EVERY_MS) return;
      this.draw(typeof block === 'string' ? [block] : block);
    } else {
      // Nothing is said of work that is done before anybody wonders.
      if (now - Math.max(this.shownAt, this.startedAt) < PLAIN_EVERY_MS) return;
      this.stream.write(`${plain}\n`);
    }
    this.shownAt = now;
  }

  /** Takes the block away, so that what follows stands on a clean line. */
  done(): void {
    if (this.drawn.length === 0) return;
    this.stream.write(`${this.toTop()}${ERASE_BELOW}${SHOW_CURSOR}`);
    this.drawn = [];
    process.off('exit', this.restoreCursor).off('SIGCONT', this.forget);
  }

  private draw(block: string[]): void {
    const { columns, rows } = this.size();
    // What is higher than the terminal scrolls away and can never be redrawn.
    const lines = block.slice(0, Math.max(1, rows - 1));
    if (this.drawn.length === 0) process.once('exit', this.restoreCursor).on('SIGCONT', this.forget);
    const text = lines.map((line) => `${line}${ERASE_LINE_END}\n`).join('');
    this.stream.write(
      `${BEGIN_FRAME}${HIDE_CURSOR}${WRAP_OFF}${this.toTop()}${text}${ERASE_BELOW}${WRAP_ON}${END_FRAME}`,
    );
    this.drawn = lines.map((line) => Math.min(columns, stripVTControlCharacters(line).length));
  }

  /** A terminal that nobody told its size says 0. */
  private size(): { columns: number; rows: number } {
    return { columns: this.stream.columns || 80, rows: this.stream.rows || 24 };
  }

  /** To the first line drawn. A terminal that became narrower has broken lines in two. */
  private toTop(): string {
    const { columns, rows } = this.size();
    const height = this.drawn.reduce((sum, width) => sum + Math.max(1, Math.ceil(width / columns)), 0);
    return height > 0 ? `\u001b[${Math.min(height, rows)}F` : '';
  }
}
