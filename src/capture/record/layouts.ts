/** A command's call → what each of its arguments is to the redaction: structure that stays, a key, or somebody's data. */
import { type CommandInfo, commandInfo, keyPositions } from '../commands.ts';

/**
 * keep: part of the command's structure. key: a key, channel or pattern of them. data: somebody's data. option: kept if
 * it is a number or a word of the command language, else data. word: kept if such a word, else data. coordinate: a
 * longitude or latitude.
 */
export const Kind = { keep: 0, key: 1, data: 2, option: 3, word: 4, coordinate: 5 } as const;
type KindCode = (typeof Kind)[keyof typeof Kind];

const KIND_OF: Record<string, KindCode> = {
  s: Kind.keep,
  k: Kind.key,
  v: Kind.data,
  o: Kind.option,
  u: Kind.word,
  g: Kind.coordinate,
};

/**
 * Arguments behind the command's name, for commands whose arguments are not just keys and options: letters of KIND_OF,
 * a group in parentheses repeats, `?` skips options up to the first argument that is none, behind `!` there may be words
 * that introduce something else (INTRODUCERS). Keys that the server's own table knows win over these.
 */
const LAYOUTS: Record<string, string> = {
  set: 'kv(o)!',
  ...each('append getset setnx delifeq', 'kv'),
  ...each('setex psetex setrange restore restore-asking', 'kov(o)'),
  ...each('mset msetnx', '(kv)'),
  ...each('lpush rpush lpushx rpushx sadd srem sismember smismember pfadd geohash geopos zmscore', 'k(v)'),
  ...each('hset hmset hsetnx hget hmget hdel hexists hstrlen zrem zscore', 'k(v)'),
  ...each('lset lrem', 'kov'),
  ...each('zincrby', 'kov'),
  ...each('hincrby hincrbyfloat', 'kvo'),
  ...each('zrank zrevrank lpos', 'kv(o)'),
  linsert: 'kovv',
  smove: 'kkv',
  zadd: 'k?(ov)',
  geoadd: 'k?(ggv)',
  geodist: 'kvvo',
  ...each('georadius georadius_ro', 'kgg(o)!'),
  ...each('georadiusbymember georadiusbymember_ro', 'kv(o)!'),
  ...each('geosearch geosearchstore sort sort_ro hscan sscan zscan', 'k(o)!'),
  ...each('hexpire hpexpire hexpireat hpexpireat hexpiretime hpexpiretime httl hpttl hpersist', 'k(o)!'),
  ...each('hgetex hsetex hgetdel', 'k(o)!'),
  ...each('scan clusterscan client', '(o)!'),
  ...each('publish spublish', 'kv'),
  ...each('subscribe unsubscribe psubscribe punsubscribe ssubscribe sunsubscribe', '(k)'),
  pubsub: 's(k)',
  keys: 'k',
  ...each('echo ping', 'v'),
  ...each('eval eval_ro evalsha evalsha_ro fcall fcall_ro', 's(o)'),
  // Bodies and digests of scripts are code: the linter and the replay need them.
  ...each('script function command info latency', '(s)'),
};

/** Their first argument is a subcommand. */
const CONTAINERS = new Set(
  'acl client cluster command config debug function latency memory module object pubsub script slowlog xgroup xinfo'.split(
    ' ',
  ),
);

/** A word that decides on what the argument behind it is, up to the end where `rest`. */
const INTRODUCERS: Record<string, { kind: KindCode; skip?: number; rest?: boolean; count?: number }> = {
  MATCH: { kind: Kind.data },
  BY: { kind: Kind.key },
  GET: { kind: Kind.key },
  STORE: { kind: Kind.key },
  STOREDIST: { kind: Kind.key },
  PREFIX: { kind: Kind.key },
  IFEQ: { kind: Kind.data },
  IFNE: { kind: Kind.data },
  FROMMEMBER: { kind: Kind.data },
  FROMLONLAT: { kind: Kind.coordinate, count: 2 },
  FIELDS: { kind: Kind.data, skip: 1, rest: true },
};
/** Where GET and BY introduce keys; elsewhere they are options like others. */
const SORTS = new Set(['sort', 'sort_ro']);
/** Commands whose MATCH is a pattern of keys. */
const SCANS = new Set(['scan', 'clusterscan']);

const OPTIONS = new Set(
  `ABSTTL AGGREGATE ALPHA AND ANY ASC ASYNC AUTH AUTH2 KEYS SETNAME BCAST BEFORE AFTER BIT BLOCK BY BYLEX BYSCORE BYTE CH COPY COUNT CREATE DB
  DEL DESC DIFF ENTRIESREAD EX EXAT FIELDS FNX FORCE FREQ FROMLONLAT FROMMEMBER FT FULL FXX GET GROUP GT HASH IDLE
  IDLETIME IFEQ IFNE INCR INCRBY JUSTID KEEPTTL KM LASTID LEFT LEN LIMIT LIST LT M MATCH MAX MAXLEN MI MIN MINID
  MINMATCHLEN NO NOACK NOLOOP NOMKSTREAM NONE NOT NOVALUES NX OFF ON ONE OPTIN OPTOUT OR OVERFLOW PERSIST PREFIX PX
  PXAT RANK REDIRECT REPLACE RETRYCOUNT REV RIGHT SAMPLES SAT FAIL WRAP SET SKIP STORE STOREDIST STREAM STREAMS STRING
  SUM SYNC TIME TIMEOUT TYPE VALUES WEIGHTS WITHATTRIBS WITHCOORD WITHDIST WITHHASH WITHMATCHLEN WITHSCORE WITHSCORES
  WITHVALUES XOR XX YES ZSET ACKED DELREF KEEPREF IDX MAXITER CAS REDUCE FP32 Q8 BIN NOQUANT EF SETATTR FILTER TRUTH`.split(
    /\s+/,
  ),
);
/** Numbers and bounds of ranges, `*` `$` `>` and other marks, ids of streams, types and offsets of BITFIELD. */
const STRUCTURE =
  /^(?:\(?[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?|\(?[-+]?inf(?:inity)?|\d+-(?:\d+|\*)|[*$>~=+-]|[ui]\d{1,2}|#\d+)$/i;
const MARK = /^[*$>~=+-]$/;
const LONGEST_OPTION = 40;

/** What a layout looks at in a call. */
export interface Arguments {
  command: string;
  info: CommandInfo | undefined;
  argCount: number;
  arg(index: number): Uint8Array;
  argLength(index: number): number;
}

interface Layout {
  head: KindCode[];
  skipsOptions: boolean;
  group: KindCode[];
  introduces: boolean;
}

const PARSED = new Map(
  Object.entries(LAYOUTS).map(([command, text]): [string, Layout] => {
    const [, head, skip, group, introduces] = /^(\w*)(\??)(?:\((\w+)\))?(!?)$/.exec(text)!;
    const kinds = (letters = '') => [...letters].map((letter) => KIND_OF[letter]!);
    return [
      command,
      { head: kinds(head), skipsOptions: skip === '?', group: kinds(group), introduces: introduces === '!' },
    ];
  }),
);
/** By command and number of arguments. */
const FIXED = new Map<string, Uint8Array[]>();
const MAX_FIXED_ARGUMENTS = 32;

/** The kind of each argument; index 0, the name, stays. Valid until the next call. */
export function kindsOf(call: Arguments): Uint8Array {
  const { command, argCount } = call;
  const known = FIXED.get(command)?.[argCount];
  if (known) return known;
  const kinds = computeKinds(call);
  if (argCount <= MAX_FIXED_ARGUMENTS && isFixed(call)) {
    const byCount = FIXED.get(command) ?? [];
    byCount[argCount] = kinds;
    FIXED.set(command, byCount);
  }
  return kinds;
}

/** Whether the argument is a word of the command language, such as WITHSCORES, or a mark such as `*`. */
export function isOption(call: Arguments, index: number): boolean {
  if (call.argLength(index) > LONGEST_OPTION) return false;
  const text = textOf(call, index);
  return OPTIONS.has(text.toUpperCase()) || MARK.test(text);
}

/** The same, or a number. */
export function isStructure(call: Arguments, index: number): boolean {
  if (call.argLength(index) > LONGEST_OPTION) return false;
  const text = textOf(call, index);
  return STRUCTURE.test(text) || OPTIONS.has(text.toUpperCase());
}

/** Whether name and number of arguments decide on all kinds. */
function isFixed({ command, info, argCount }: Arguments): boolean {
  if (info === undefined || CONTAINERS.has(command) || command === 'xadd') return false;
  const layout = PARSED.get(command);
  if (layout?.skipsOptions || (layout?.introduces && argCount > layout.head.length + 1)) return false;
  return info.keySpecs.every(({ begin, find }) => 'index' in begin && find.kind === 'range');
}

function computeKinds(call: Arguments): Uint8Array {
  const { command, argCount } = call;
  const kinds = new Uint8Array(argCount);
  const container = CONTAINERS.has(command) && argCount > 1;
  const subcommand = container ? textOf(call, 1) : undefined;
  const info = commandInfo(command, subcommand) ?? call.info;
  const layout = PARSED.get(command);
  // Of commands that nobody knows only words are trusted; of vectors even the numbers are data.
  const otherwise = info === undefined || info.group === 'module' ? Kind.word : Kind.option;
  if (layout) fillLayout(call, kinds, layout, otherwise);
  else if (command === 'xadd') fillEntry(call, kinds);
  else kinds.fill(otherwise, 1);
  if (subcommand === 'SETINFO' || subcommand === 'setinfo') kinds.fill(Kind.keep, 2);
  if (container && /^[A-Za-z-]{1,24}$/.test(subcommand!)) kinds[1] = Kind.keep;
  if (layout?.introduces) applyIntroducers(call, kinds);
  if (info) {
    for (const { index } of keyPositions(info, argCount, (i) => textOf(call, i))) {
      kinds[index] = Kind.key;
      if (command === 'msetex' && index + 1 < argCount) kinds[index + 1] = Kind.data;
    }
  }
  kinds[0] = Kind.keep;
  return kinds;
}

function fillLayout(call: Arguments, kinds: Uint8Array, layout: Layout, otherwise: KindCode): void {
  const { head, group, skipsOptions } = layout;
  let from = 1 + head.length;
  for (let i = 1; i < kinds.length; i++) kinds[i] = head[i - 1] ?? otherwise;
  if (skipsOptions) while (from < kinds.length && isOption(call, from)) from++;
  if (group.length > 0) for (let i = from; i < kinds.length; i++) kinds[i] = group[(i - from) % group.length]!;
}

/** XADD key [options] id field value …: fields begin behind the id, which may look like an option's argument. */
function fillEntry(call: Arguments, kinds: Uint8Array): void {
  kinds.fill(Kind.data, 2);
  for (let i = 2, wanted = 0; i < kinds.length; i++) {
    kinds[i] = Kind.option;
    const word = textOf(call, i).toUpperCase();
    if (wanted > 0 && word !== '~' && word !== '=') wanted--;
    else if (word === 'MAXLEN' || word === 'MINID' || word === 'LIMIT') wanted = 1;
    else if (wanted === 0 && !OPTIONS.has(word)) return;
  }
}

function applyIntroducers(call: Arguments, kinds: Uint8Array): void {
  const { command } = call;
  for (let i = 1; i + 1 < kinds.length; i++) {
    if (kinds[i] !== Kind.option || call.argLength(i) > LONGEST_OPTION) continue;
    const word = textOf(call, i).toUpperCase();
    const introducer = Object.hasOwn(INTRODUCERS, word) ? INTRODUCERS[word]! : undefined;
    if (introducer === undefined || ((word === 'BY' || word === 'GET') && !SORTS.has(command))) continue;
    const kind = word === 'MATCH' && SCANS.has(command) ? Kind.key : introducer.kind;
    const from = i + 1 + (introducer.skip ?? 0);
    const to = introducer.rest ? kinds.length : from + (introducer.count ?? 1);
    kinds.fill(kind, from, to);
    i = to - 1;
  }
}

function textOf(call: Arguments, index: number): string {
  const bytes = call.arg(index);
  return Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, LONGEST_OPTION + 1)).toString('latin1');
}

function each(commands: string, layout: string): Record<string, string> {
  return Object.fromEntries(commands.split(' ').map((command) => [command, layout]));
}
