/** The command line that repeats a run: every choice spelled out, defaults included, credentials left out; and back. */

type FlagValue = string | number | boolean | undefined;

/** Quotes what a shell would take apart. */
const quote = (text: string) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

/** `cutover run capture.log --rounds 5 …`; flags that are undefined or false are left out. */
export function commandLine(command: string, args: string[], flags: Record<string, FlagValue>): string {
  const words = ['cutover', command, ...args.map(quote)];
  for (const [name, value] of Object.entries(flags)) {
    if (value === undefined || value === false) continue;
    words.push(value === true ? `--${name}` : `--${name} ${quote(String(value))}`);
  }
  return words.join(' ');
}

/** The words of a line that `commandLine` wrote, as a shell would take it apart. */
export function commandWords(line: string): string[] {
  return (line.match(/(?:'[^']*'|\\'|[^\s'\\])+/g) ?? []).map((word) =>
    word.replace(
      /'([^']*)'|\\(')/g,
      (_, inside: string | undefined, escaped: string | undefined) => inside ?? escaped ?? '',
    ),
  );
}
