/** A client's source in any of seven languages → its string literals, and the scripts among them. */
import { localsIn, type Place, placesIn, type ScriptUnit, withoutLoneHoles } from './unit.ts';

export type Language = 'javascript' | 'python' | 'ruby' | 'go' | 'java' | 'php';

/** A string (or regular expression) literal; concatenations of literals are one. */
export interface ClientString {
  /** Its value, one character per byte; what is filled in at run time is underscores. */
  value: string;
  /** Offsets in `value` of what is filled in, and what it is if that is a mere name. */
  holes: [start: number, end: number, name: string | undefined][];
  regexp: boolean;
  /** Bytes of the source, quotes included. */
  start: number;
  end: number;
  /** Byte of the source that gave the character at `offset` of `value`. */
  origin(offset: number): number;
}

export interface ClientSource {
  file: string;
  language: Language;
  /** One character per byte. */
  text: string;
  strings: ClientString[];
  /** `text` with comments and the inside of strings blanked: what is code, at its own offsets. */
  code: string;
  place(offset: number): Place;
}

/** By the extension of a file; TypeScript reads as JavaScript. */
export const LANGUAGES: Readonly<Record<string, Language>> = {
  '.js': 'javascript',
  '.mjs': 'javascript',
  '.cjs': 'javascript',
  '.jsx': 'javascript',
  '.ts': 'javascript',
  '.mts': 'javascript',
  '.cts': 'javascript',
  '.tsx': 'javascript',
  '.py': 'python',
  '.rb': 'ruby',
  '.go': 'go',
  '.java': 'java',
  '.kt': 'java',
  '.php': 'php',
};

/** How a literal is written. */
interface Quote {
  open: RegExp;
  close: string;
  escapes: 'full' | 'quote-only' | 'none';
  /** What begins a hole; it ends at the brace that closes it, or with the name. */
  hole?: RegExp;
}

const sticky = (source: string) => new RegExp(source, 'y');
const BRACED = {
  js: sticky('\\$\\{'),
  ruby: sticky('#\\{'),
  php: sticky('\\{\\$|\\$[A-Za-z_]\\w*'),
  python: sticky('\\{(?!\\{)'),
};

const simple = (quote: string, escapes: Quote['escapes'], hole?: RegExp): Quote => ({
  open: sticky(quote.replace(/[`"']/g, '\\$&')),
  close: quote,
  escapes,
  ...(hole ? { hole } : {}),
});

const QUOTES: Record<Language, Quote[]> = {
  javascript: [simple('`', 'full', BRACED.js), simple('"', 'full'), simple("'", 'full')],
  python: [
    ...['"""', "'''", '"', "'"].flatMap((close): Quote[] => [
      { open: sticky(`(?<![\\w])[bBuU]?[rR][bB]?${close}`), close, escapes: 'none' },
      { open: sticky(`(?<![\\w])[rR]?[fF][rR]?${close}`), close, escapes: 'full', hole: BRACED.python },
      { open: sticky(`(?<![\\w])[bBuU]${close}|${close}`), close, escapes: 'full' },
    ]),
  ],
  ruby: [simple('"', 'full', BRACED.ruby), simple("'", 'quote-only'), simple('`', 'full', BRACED.ruby)],
  go: [simple('`', 'none'), simple('"', 'full')],
  java: [simple('"""', 'full'), simple('"', 'full')],
  php: [simple('"', 'full', BRACED.php), simple("'", 'quote-only')],
};

/** `<<~LUA`, `<<<'LUA'`: the body begins on the next line and ends with the word on a line of its own. */
const HEREDOC: Partial<Record<Language, RegExp>> = {
  ruby: /<<[~-]?(["'`]?)([A-Z_][A-Z0-9_]*)\1/y,
  php: /<<<[ \t]*(["']?)([A-Za-z_]\w*)\1\r?\n/y,
};

const COMMENTS: Record<Language, RegExp> = {
  javascript: /\/\/[^\n]*|\/\*[\s\S]*?(?:\*\/|$)/y,
  python: /#[^\n]*/y,
  ruby: /#[^\n]*|(?<=^|\n)=begin[\s\S]*?(?:\n=end|$)/y,
  go: /\/\/[^\n]*|\/\*[\s\S]*?(?:\*\/|$)/y,
  java: /\/\/[^\n]*|\/\*[\s\S]*?(?:\*\/|$)/y,
  php: /\/\/[^\n]*|#(?!\[)[^\n]*|\/\*[\s\S]*?(?:\*\/|$)/y,
};

/** A character literal of Go or Java holds at most one character. */
const CHARACTER = /'(?:\\.[^']{0,8}|[^'\\\n])'/y;
/** A regular expression can begin behind these, a division cannot. */
const BEFORE_REGEXP = /(?:^|[=(,:;!&|?{}[+\-*%<>~]|\b(?:return|typeof|case|in|of|new|delete|void|throw|do|else))\s*$/;
const REGEXP = /\/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/[a-z]*/y;

const ESCAPES: Record<string, string> = { n: '\n', t: '\t', r: '\r', b: '\b', f: '\f', v: '\v', 0: '\0', a: '\x07' };

/** `text`: one character per byte. */
export function readClient(file: string, language: Language, text: string): ClientSource {
  const strings: ClientString[] = [];
  const code = text.split('');
  const blank = (from: number, to: number) => {
    for (let i = from; i < to && i < code.length; i++) if (code[i] !== '\n') code[i] = ' ';
  };
  const pendingHeredocs: { word: string; raw: boolean; start: number }[] = [];
  const at = (pattern: RegExp, position: number) => {
    pattern.lastIndex = position;
    return pattern.exec(text);
  };
  let i = 0;
  scan: while (i < text.length) {
    const character = text[i]!;
    if (character === '\n' && pendingHeredocs.length > 0) {
      i++;
      for (const { word, raw, start } of pendingHeredocs.splice(0)) {
        const end = new RegExp(`^[ \\t]*${word}\\b`, 'm');
        const rest = text.slice(i);
        const found = end.exec(rest);
        const stop = i + (found?.index ?? rest.length);
        const hole = language === 'ruby' ? BRACED.ruby : BRACED.php;
        const literal = decode(text, i, stop, {
          open: hole,
          close: '',
          escapes: raw ? 'none' : 'full',
          ...(raw ? {} : { hole }),
        });
        strings.push({ ...literal.string, start, end: stop });
        blank(i, stop);
        i = stop + (found?.[0].length ?? 0);
      }
      continue;
    }
    if (/[\s\w]/.test(character) && !(language === 'python' && /[bBuUrRfF]/.test(character))) {
      i++;
      continue;
    }
    const comment = at(COMMENTS[language], i);
    if (comment) {
      blank(i, i + comment[0].length);
      i += Math.max(1, comment[0].length);
      continue;
    }
    const heredoc = HEREDOC[language] && at(HEREDOC[language], i);
    if (heredoc) {
      pendingHeredocs.push({ word: heredoc[2]!, raw: heredoc[1] === "'", start: i });
      i += heredoc[0].length;
      if (language === 'php') i--;
      continue;
    }
    if ((language === 'go' || language === 'java') && character === "'") {
      i += at(CHARACTER, i)?.[0].length ?? 1;
      continue;
    }
    if (language === 'javascript' && character === '/' && BEFORE_REGEXP.test(text.slice(Math.max(0, i - 40), i))) {
      const literal = at(REGEXP, i);
      if (literal) {
        const start = i + 1;
        const value = text.slice(start, i + literal[0].lastIndexOf('/'));
        const end = i + literal[0].length;
        strings.push({ value, holes: [], regexp: true, start: i, end, origin: (offset) => start + offset });
        blank(i, end);
        i = end;
        continue;
      }
    }
    for (const quote of QUOTES[language]) {
      const open = at(quote.open, i);
      if (!open) continue;
      const inside = i + open[0].length;
      const { string, end } = decode(text, inside, text.length, quote);
      strings.push({ ...string, start: i, end });
      blank(i + 1, end - 1);
      i = end;
      continue scan;
    }
    i++;
  }
  return {
    file,
    language,
    text,
    strings: joinStrings(strings, text, language),
    code: code.join(''),
    place: placesIn(file, text),
  };
}

/** Reads from behind the opening quote to the closing one; a literal of one line ends with its line. */
function decode(
  text: string,
  from: number,
  limit: number,
  { close, escapes, hole }: Quote,
): { string: ClientString; end: number } {
  let value = '';
  const origins: number[] = [];
  const holes: ClientString['holes'] = [];
  const oneLine = close.length === 1 && close !== '`';
  let i = from;
  const push = (characters: string, origin: number) => {
    for (const character of characters) {
      value += character;
      origins.push(origin);
    }
  };
  while (i < limit) {
    if (close !== '' && text.startsWith(close, i)) break;
    if (oneLine && text[i] === '\n') break;
    if (hole === BRACED.python && (text.startsWith('{{', i) || text.startsWith('}}', i))) {
      push(text[i]!, i);
      i += 2;
      continue;
    }
    if (hole) {
      hole.lastIndex = i;
      const open = hole.exec(text);
      if (open && open.index === i) {
        const end = open[0].includes('{') ? closingBrace(text, i + open[0].length, limit) : i + open[0].length;
        holes.push([value.length, value.length + (end - i), nameIn(text.slice(i, end).replace(/^[#$]?\{|\}$/g, ''))]);
        for (let k = i; k < end; k++) push('_', k);
        i = end;
        continue;
      }
    }
    if (text[i] === '\\' && escapes !== 'none') {
      const next = text[i + 1] ?? '';
      if (escapes === 'quote-only') {
        push(next === close || next === '\\' ? next : `\\${next}`, i);
        i += 2;
        continue;
      }
      const hex = /^(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|u\{([0-9a-fA-F]+)\})/.exec(text.slice(i + 1, i + 12));
      if (hex) {
        const point = Number.parseInt(hex[1] ?? hex[2] ?? hex[3]!, 16);
        push(
          hex[1]
            ? String.fromCharCode(point)
            : point > 0x10ffff
              ? '?'
              : Buffer.from(String.fromCodePoint(point)).toString('latin1'),
          i,
        );
        i += 1 + hex[0].length;
        continue;
      }
      if (next !== '\n') push(ESCAPES[next] ?? next, i);
      i += 2;
      continue;
    }
    push(text[i]!, i);
    i++;
  }
  const end = Math.min(limit, i + (text.startsWith(close, i) ? close.length : 0));
  const origin = (offset: number) => origins[offset] ?? (offset >= origins.length ? i : from);
  return { string: { value, holes, regexp: false, start: from, end, origin }, end };
}

/** `NAME`, `$name`, `self.NAME`, `Scripts::NAME` → the name. */
const nameIn = (expression: string) =>
  /^\s*(?:(?:self|this|static|[A-Z]\w*)(?:\.|::))?\$?([A-Za-z_]\w*)\s*$/.exec(expression)?.[1];

function closingBrace(text: string, from: number, limit: number): number {
  let depth = 1;
  for (let i = from; i < limit; i++) {
    if (text[i] === '{') depth++;
    else if (text[i] === '}' && --depth === 0) return i + 1;
  }
  return limit;
}

/** What may stand between two literals that are one string: nothing (Python), an operator, an operator and a name. */
const JOINS: Record<Language, RegExp> = {
  javascript: /^\s*\+\s*(?:([\w$.[\]()]+)\s*\+\s*)?$/,
  python: /^(?:[\s\\]*|\s*\+\s*(?:([\w.[\]()]+)\s*\+\s*)?)$/,
  ruby: /^(?:[ \t]*\\\s*|\s*\+\s*(?:([\w.[\]()]+)\s*\+\s*)?)$/,
  go: /^\s*\+\s*(?:([\w.[\]()]+)\s*\+\s*)?$/,
  java: /^\s*\+\s*(?:([\w.[\]()]+)\s*\+\s*)?$/,
  php: /^\s*\.\s*(?:([\w$>:[\]()-]+)\s*\.\s*)?$/,
};

/** Concatenated literals become one string, `["…", "…"].join("\n")` of JavaScript too. */
function joinStrings(strings: ClientString[], text: string, language: Language): ClientString[] {
  const joined: ClientString[] = [];
  const sorted = strings.sort((a, b) => a.start - b.start);
  for (let i = 0; i < sorted.length; ) {
    let end = i + 1;
    const between: { separator: string; hole: string | undefined }[] = [];
    for (; end < sorted.length && !sorted[i]!.regexp && !sorted[end]!.regexp; end++) {
      const match = JOINS[language].exec(
        withoutComments(text.slice(sorted[end - 1]!.end, sorted[end]!.start), language),
      );
      if (!match) break;
      between.push({ separator: '', hole: match[1] });
    }
    if (end === i + 1 && language === 'javascript') {
      let last = i + 1;
      while (
        last < sorted.length &&
        /^\s*,\s*$/.test(withoutComments(text.slice(sorted[last - 1]!.end, sorted[last]!.start), language))
      )
        last++;
      const tail = /^\s*,?\s*\]\s*\.join\(\s*$/.exec(text.slice(sorted[last - 1]!.end, sorted[last]?.start ?? 0));
      if (last > i + 1 && tail) {
        const separator = sorted[last]!.value;
        for (let k = i + 1; k < last; k++) between.push({ separator, hole: undefined });
        end = last;
      }
    }
    joined.push(end === i + 1 ? sorted[i]! : concatenate(sorted.slice(i, end), between));
    i = end;
  }
  return joined;
}

const withoutComments = (text: string, language: Language) =>
  text.replace(new RegExp(COMMENTS[language].source, 'g'), '');

function concatenate(
  strings: ClientString[],
  between: { separator: string; hole: string | undefined }[],
): ClientString {
  let value = '';
  const holes: ClientString['holes'] = [];
  const pieces: { start: number; string: ClientString }[] = [];
  for (const [i, string] of strings.entries()) {
    const join = between[i - 1];
    if (join) {
      value += join.separator;
      if (join.hole !== undefined) {
        holes.push([value.length, value.length + join.hole.length, nameIn(join.hole)]);
        value += '_'.repeat(join.hole.length);
      }
    }
    pieces.push({ start: value.length, string });
    for (const [from, to, name] of string.holes) holes.push([value.length + from, value.length + to, name]);
    value += string.value;
  }
  const origin = (offset: number) => {
    const piece = pieces.findLast(({ start }) => start <= offset) ?? pieces[0]!;
    return piece.string.origin(offset - piece.start);
  };
  return { value, holes, regexp: false, start: strings[0]!.start, end: strings.at(-1)!.end, origin };
}

const CALLS_A_COMMAND =
  /\b(?:redis|server)\s*\.\s*p?call\s*[('"]|\bredis\.register_function\b|\b(?:local)\s+\w+\s*=\s*redis\.p?call\b/;
/** What a script has and prose that mentions redis.call has not. */
const LOOKS_LIKE_LUA = /\n|\b(?:return|local|then|end)\b/;

/** The scripts among the strings of a source: those that call commands. Whether they parse is found out later. */
export function scriptsIn(source: ClientSource): ScriptUnit[] {
  const constants = constantsIn(source);
  const declared = localsIn(source.strings.map(({ value }) => value));
  return source.strings.flatMap((string, i) => {
    const filled = string.holes.length > 0 ? withConstants(string, constants) : string;
    const { value, regexp, holes } = filled;
    if (regexp || !CALLS_A_COMMAND.test(value) || !LOOKS_LIKE_LUA.test(value)) return [];
    const { line } = source.place(string.start);
    const declaredKeys = declaredKeysOf(source, string);
    return [
      {
        name: `${source.file}:${line}`,
        text: withoutLoneHoles(value, holes),
        holes: holes.map(([start, end]): [number, number] => [start, end]),
        fragment: holes.length > 0 || isPart(source, string),
        declaredNearby: (name: string) => declared(name, i),
        place: (offset: number) => source.place(filled.origin(offset)),
        ...(declaredKeys === undefined ? {} : { declaredKeys }),
      },
    ];
  });
}

/** Whether the program puts something before or behind the literal, or changes it: it is not the whole script. */
function isPart({ code, language }: ClientSource, { start, end }: ClientString): boolean {
  const before = code.slice(Math.max(0, start - 80), start);
  const after = code.slice(end, end + 80);
  if (language === 'php' && (/\.\s*$/.test(before) || /^\s*\./.test(after))) return true;
  return (
    /(?:\+=?|<<|\b(?:v?s?printf|format)\s*\()\s*$/i.test(before) ||
    /^\s*(?:[+%]|\.\s*(?:replace|format|concat|join|g?sub|interpolate)\w*\b)/.test(after)
  );
}

/** The number of keys, where it stands beside the script: `eval("…", 2, …)`, `{ numberOfKeys: 2, lua: "…" }`. */
function declaredKeysOf({ code }: ClientSource, { start, end }: ClientString): number | undefined {
  const before = code.slice(Math.max(0, start - 80), start);
  const after = code.slice(end, end + 80);
  const count = /\beval(?:_?ro)?\s*\(\s*$/i.test(before)
    ? /^\s*,\s*(\d{1,3})\s*[,)]/.exec(after)
    : /\blua:\s*$/.test(before)
      ? (/\bnumberOfKeys:\s*(\d{1,3})\s*,\s*lua:\s*$/.exec(before) ?? /^\s*,\s*numberOfKeys:\s*(\d{1,3})\b/.exec(after))
      : undefined;
  return count ? Number(count[1]) : undefined;
}

const ASSIGNED = /(?:^|\n)([ \t]*)(?:[\w$<>[\]]+[ \t]+)*?\$?([A-Za-z_]\w*)[ \t]*(?::[ \t]*[\w<>[\]]+[ \t]*)?:?=\s*$/;
const MAX_CONSTANT_DEPTH = 5;

/** The strings that names of the source stand for: assigned once, at its top level or in capitals. */
function constantsIn({ strings, code }: ClientSource): Map<string, ClientString> {
  const constants = new Map<string, ClientString>();
  for (const string of strings) {
    const [, indent, name] = ASSIGNED.exec(code.slice(Math.max(0, string.start - 200), string.start)) ?? [];
    const alone = /^[ \t]*(?:[;,)]|\r?\n|$)/.test(code.slice(string.end, string.end + 40));
    if (string.regexp || name === undefined || !alone || !(indent === '' || /^[A-Z][A-Z0-9_]*$/.test(name))) continue;
    const writes =
      code.match(new RegExp(`\\b${name}[ \\t]*(?::[^=\\n]{1,40})?(?:[:+.|&]|\\|\\|)?=(?![=>])`, 'g')) ?? [];
    if (writes.length === 1) constants.set(name, string);
  }
  return constants;
}

/** Puts constants of the same source into the holes that name them. */
function withConstants(string: ClientString, constants: Map<string, ClientString>, depth = 0): ClientString {
  const pieces: { start: number; from: number; string: ClientString }[] = [];
  const holes: ClientString['holes'] = [];
  let value = '';
  const append = (piece: ClientString, from: number, to: number) => {
    pieces.push({ start: value.length, from, string: piece });
    for (const [start, end, name] of piece.holes) {
      if (start >= from && end <= to) holes.push([value.length + start - from, value.length + end - from, name]);
    }
    value += piece.value.slice(from, to);
  };
  let at = 0;
  for (const [start, end, name] of string.holes) {
    const constant = name === undefined || depth > MAX_CONSTANT_DEPTH ? undefined : constants.get(name);
    if (constant === undefined || constant === string) continue;
    append(string, at, start);
    const inner = withConstants(constant, constants, depth + 1);
    append(inner, 0, inner.value.length);
    at = end;
  }
  if (at === 0) return string;
  append(string, at, string.value.length);
  const origin = (offset: number) => {
    const piece = pieces.findLast(({ start }) => start <= offset)!;
    return piece.string.origin(offset - piece.start + piece.from);
  };
  return { ...string, value, holes, origin };
}

/** Functions that look for a text in another one, or compare the two. */
const SEARCHES =
  /(?:\b(?:includes?|contains|contain|indexOf|lastIndexOf|startsWith|endsWith|startswith|endswith|start_with|end_with|starts_with|ends_with|match(?:es)?|search|find|equals(?:IgnoreCase)?|equal|eql|HasPrefix|HasSuffix|Contains|Index|EqualFold|str(?:i?pos|r?str|n?cmp|n?casecmp|_contains|_starts_with|_ends_with)|RegExp|compile|preg_match|case|when|in)\b[?!]?)\s*\(?(?:[^()\n;{}]|\([^()\n;{}]*\)){0,60}$/;

/** Whether the program compares something with the literal or looks for it: a regular expression, `=== '…'`, `'…' in text`, a constant. */
export function isLookedFor({ code }: ClientSource, { regexp, start, end }: ClientString): boolean {
  if (regexp) return true;
  const before = code.slice(Math.max(0, start - 120), start);
  const after = code.slice(end, end + 40);
  return (
    /[=!]==?\s*$/.test(before) ||
    /^\s*(?:[=!]==?|(?:not\s+)?in\b|\.\s*(?:equals|test|match)\b|=~)/.test(after) ||
    SEARCHES.test(before.slice(before.lastIndexOf('\n') + 1)) ||
    /\b[A-Z][A-Z0-9_]*\s*(?::[^=\n]{1,40})?=\s*$/.test(before)
  );
}
