/** The first line of a script → engine and options, as `#!lua name=lib flags=no-writes,allow-oom` says them. */

export interface Shebang {
  /** The whole first line. */
  line: string;
  /** `lua` for what every server runs. */
  engine: string;
  /** Options by name: `flags`, `name`; what they are set to. */
  options: ReadonlyMap<string, string>;
  flags: string[];
}

/** Undefined where the text does not begin with `#!`. */
export function readShebang(text: string): Shebang | undefined {
  if (!text.startsWith('#!')) return undefined;
  const line = text.split('\n', 1)[0]!.replace(/\r$/, '');
  const [engine = '', ...words] = line.slice(2).split(/\s+/);
  const options = new Map(
    words.filter(Boolean).map((word) => {
      const at = word.indexOf('=');
      return at < 0 ? [word, ''] : [word.slice(0, at), word.slice(at + 1)];
    }),
  );
  return { line, engine, options, flags: (options.get('flags') ?? '').split(',').filter(Boolean) };
}
