/** What the servers know about each command: type of key, flags, and where its keys are. */

type Access = 'RO' | 'RW' | 'OW' | 'RM';

/** One key specification, as in COMMAND INFO: where to begin, and how keys follow from there. */
interface KeySpec {
  begin: { index: number } | { keyword: string; from: number };
  find:
    | { kind: 'range'; last: number; step: number; limit: number }
    | { kind: 'keynum'; count: number; first: number; step: number };
  access: Access;
}

export interface CommandInfo {
  name: string;
  /** Group of COMMAND DOCS: `string`, `hash`, `sorted-set`, `scripting` … */
  group: string;
  write: boolean;
  readonly: boolean;
  blocking: boolean;
  admin: boolean;
  pubsub: boolean;
  keySpecs: KeySpec[];
}

/**
 * The union of COMMAND INFO and COMMAND DOCS of valkey 9.1.2 and redis 8.6.3 (core and vector sets), one command a line:
 * name, group, flags (w write, r readonly, b blocking, a admin, p pub/sub, - none), key specifications
 * (`i1` begins at argument 1, `kSTORE,6` behind the word STORE from argument 6; `r` range last,step,limit; `n` keynum
 * index,first,step; access after `=`). A test holds it against the servers that are installed.
 */
const TABLE = `
acl server -
append string w i1r0,1,0=RW
asking cluster -
auth connection -
bgrewriteaof server a
bgsave server a
bitcount bitmap r i1r0,1,0=RO
bitfield bitmap w i1r0,1,0=RW
bitfield_ro bitmap r i1r0,1,0=RO
bitop bitmap w i2r0,1,0=OW i3r-1,1,0=RO
bitpos bitmap r i1r0,1,0=RO
blmove list wb i1r0,1,0=RW i2r0,1,0=RW
blmpop list wb i2n0,1,1=RW
blpop list wb i1r-2,1,0=RW
brpop list wb i1r-2,1,0=RW
brpoplpush list wb i1r0,1,0=RW i2r0,1,0=RW
bzmpop sorted-set wb i2n0,1,1=RW
bzpopmax sorted-set wb i1r-2,1,0=RW
bzpopmin sorted-set wb i1r-2,1,0=RW
client connection -
cluster cluster -
clusterscan cluster r i1r0,1,0=?!
command server -
commandlog server -
config server -
copy generic w i1r0,1,0=RO i2r0,1,0=OW
dbsize server r
debug server a
decr string w i1r0,1,0=RW
decrby string w i1r0,1,0=RW
del generic w i1r-1,1,0=RM
delex string w i1r0,1,0=RW
delifeq string w i1r0,1,0=RM
digest string r i1r0,1,0=RO
discard transactions -
dump generic r i1r0,1,0=RO
echo connection -
eval scripting - i2n0,1,1=RW
eval_ro scripting r i2n0,1,1=RO
evalsha scripting - i2n0,1,1=RW
evalsha_ro scripting r i2n0,1,1=RO
exec transactions -
exists generic r i1r-1,1,0=RO
expire generic w i1r0,1,0=RW
expireat generic w i1r0,1,0=RW
expiretime generic r i1r0,1,0=RO
failover server a
fcall scripting - i2n0,1,1=RW
fcall_ro scripting r i2n0,1,1=RO
flushall server w
flushdb server w
function scripting -
geoadd geo w i1r0,1,0=RW
geodist geo r i1r0,1,0=RO
geohash geo r i1r0,1,0=RO
geopos geo r i1r0,1,0=RO
georadius geo w i1r0,1,0=RO kSTORE,6r0,1,0=OW kSTOREDIST,6r0,1,0=OW
georadius_ro geo r i1r0,1,0=RO
georadiusbymember geo w i1r0,1,0=RO kSTORE,5r0,1,0=OW kSTOREDIST,5r0,1,0=OW
georadiusbymember_ro geo r i1r0,1,0=RO
geosearch geo r i1r0,1,0=RO
geosearchstore geo w i1r0,1,0=OW i2r0,1,0=RO
get string r i1r0,1,0=RO
getbit bitmap r i1r0,1,0=RO
getdel string w i1r0,1,0=RW
getex string w i1r0,1,0=RW
getrange string r i1r0,1,0=RO
getset string w i1r0,1,0=RW
hdel hash w i1r0,1,0=RW
hello connection -
hexists hash r i1r0,1,0=RO
hexpire hash w i1r0,1,0=RW
hexpireat hash w i1r0,1,0=RW
hexpiretime hash r i1r0,1,0=RO
hget hash r i1r0,1,0=RO
hgetall hash r i1r0,1,0=RO
hgetdel hash w i1r0,1,0=RW
hgetex hash w i1r0,1,0=RW
hincrby hash w i1r0,1,0=RW
hincrbyfloat hash w i1r0,1,0=RW
hkeys hash r i1r0,1,0=RO
hlen hash r i1r0,1,0=RO
hmget hash r i1r0,1,0=RO
hmset hash w i1r0,1,0=RW
hotkeys server -
hpersist hash w i1r0,1,0=RW
hpexpire hash w i1r0,1,0=RW
hpexpireat hash w i1r0,1,0=RW
hpexpiretime hash r i1r0,1,0=RO
hpttl hash r i1r0,1,0=RO
hrandfield hash r i1r0,1,0=RO
hscan hash r i1r0,1,0=RO
hset hash w i1r0,1,0=RW
hsetex hash w i1r0,1,0=RW
hsetnx hash w i1r0,1,0=RW
hstrlen hash r i1r0,1,0=RO
httl hash r i1r0,1,0=RO
hvals hash r i1r0,1,0=RO
incr string w i1r0,1,0=RW
incrby string w i1r0,1,0=RW
incrbyfloat string w i1r0,1,0=RW
info server -
keys generic r
lastsave server -
latency server -
lcs string r i1r1,1,0=RO
lindex list r i1r0,1,0=RO
linsert list w i1r0,1,0=RW
llen list r i1r0,1,0=RO
lmove list w i1r0,1,0=RW i2r0,1,0=RW
lmpop list w i1n0,1,1=RW
lolwut server r
lpop list w i1r0,1,0=RW
lpos list r i1r0,1,0=RO
lpush list w i1r0,1,0=RW
lpushx list w i1r0,1,0=RW
lrange list r i1r0,1,0=RO
lrem list w i1r0,1,0=RW
lset list w i1r0,1,0=RW
ltrim list w i1r0,1,0=RW
memory server -
memory|usage server r i2r0,1,0=RO
mget string r i1r-1,1,0=RO
migrate generic w i3r0,1,0=RW
module server -
monitor server a
move generic w i1r0,1,0=RW
mset string w i1r-1,2,0=OW
msetex string w i1n0,1,2=OW
msetnx string w i1r-1,2,0=OW
multi transactions -
object generic -
object|encoding generic r i2r0,1,0=RO
object|freq generic r i2r0,1,0=RO
object|idletime generic r i2r0,1,0=RO
object|refcount generic r i2r0,1,0=RO
persist generic w i1r0,1,0=RW
pexpire generic w i1r0,1,0=RW
pexpireat generic w i1r0,1,0=RW
pexpiretime generic r i1r0,1,0=RO
pfadd hyperloglog w i1r0,1,0=RW
pfcount hyperloglog r i1r-1,1,0=RW
pfdebug hyperloglog wa i2r0,1,0=RW
pfmerge hyperloglog w i1r0,1,0=RW i2r-1,1,0=RO
pfselftest hyperloglog a
ping connection -
psetex string w i1r0,1,0=OW
psubscribe pubsub p
psync server a
pttl generic r i1r0,1,0=RO
publish pubsub p
pubsub pubsub -
punsubscribe pubsub p
quit connection -
randomkey generic r
readonly cluster -
readwrite cluster -
rename generic w i1r0,1,0=RW i2r0,1,0=OW
renamenx generic w i1r0,1,0=RW i2r0,1,0=OW
replconf server a
replicaof server a
reset connection -
restore generic w i1r0,1,0=OW
restore-asking server w i1r0,1,0=OW
role server -
rpop list w i1r0,1,0=RW
rpoplpush list w i1r0,1,0=RW i2r0,1,0=RW
rpush list w i1r0,1,0=RW
rpushx list w i1r0,1,0=RW
sadd set w i1r0,1,0=RW
save server a
scan generic r
scard set r i1r0,1,0=RO
script scripting -
sdiff set r i1r-1,1,0=RO
sdiffstore set w i1r0,1,0=OW i2r-1,1,0=RO
select connection -
set string w i1r0,1,0=RW
setbit bitmap w i1r0,1,0=RW
setex string w i1r0,1,0=OW
setnx string w i1r0,1,0=OW
setrange string w i1r0,1,0=RW
shutdown server a
sinter set r i1r-1,1,0=RO
sintercard set r i1n0,1,1=RO
sinterstore set w i1r0,1,0=OW i2r-1,1,0=RO
sismember set r i1r0,1,0=RO
slaveof server a
slowlog server -
smembers set r i1r0,1,0=RO
smismember set r i1r0,1,0=RO
smove set w i1r0,1,0=RW i2r0,1,0=RW
sort generic w i1r0,1,0=RO
sort_ro generic r i1r0,1,0=RO
spop set w i1r0,1,0=RW
spublish pubsub p i1r0,1,0=?!
srandmember set r i1r0,1,0=RO
srem set w i1r0,1,0=RW
sscan set r i1r0,1,0=RO
ssubscribe pubsub p i1r-1,1,0=?!
strlen string r i1r0,1,0=RO
subscribe pubsub p
substr string r i1r0,1,0=RO
sunion set r i1r-1,1,0=RO
sunionstore set w i1r0,1,0=OW i2r-1,1,0=RO
sunsubscribe pubsub p i1r-1,1,0=?!
swapdb server w
sync server a
time server -
touch generic r i1r-1,1,0=RO
trimslots server w
ttl generic r i1r0,1,0=RO
type generic r i1r0,1,0=RO
unlink generic w i1r-1,1,0=RM
unsubscribe pubsub p
unwatch transactions -
vadd module w i1r0,1,0=RW
vcard module r i1r0,1,0=RW
vdim module r i1r0,1,0=RW
vemb module r i1r0,1,0=RW
vgetattr module r i1r0,1,0=RW
vinfo module r i1r0,1,0=RW
vismember module r i1r0,1,0=RW
vlinks module r i1r0,1,0=RW
vrandmember module r i1r0,1,0=RW
vrange module r i1r0,1,0=RW
vrem module w i1r0,1,0=RW
vsetattr module w i1r0,1,0=RW
vsim module r i1r0,1,0=RW
wait generic b
waitaof generic b
watch transactions - i1r-1,1,0=RO
xack stream w i1r0,1,0=RW
xackdel stream w i1r0,1,0=RW
xadd stream w i1r0,1,0=RW
xautoclaim stream w i1r0,1,0=RW
xcfgset stream w i1r0,1,0=RW
xclaim stream w i1r0,1,0=RW
xdel stream w i1r0,1,0=RW
xdelex stream w i1r0,1,0=RW
xgroup stream -
xgroup|create stream w i2r0,1,0=RW
xgroup|createconsumer stream w i2r0,1,0=RW
xgroup|delconsumer stream w i2r0,1,0=RW
xgroup|destroy stream w i2r0,1,0=RW
xgroup|setid stream w i2r0,1,0=RW
xidmprecord stream w i1r0,1,0=RW
xinfo stream -
xinfo|consumers stream r i2r0,1,0=RO
xinfo|groups stream r i2r0,1,0=RO
xinfo|stream stream r i2r0,1,0=RO
xlen stream r i1r0,1,0=RO
xpending stream r i1r0,1,0=RO
xrange stream r i1r0,1,0=RO
xread stream rb kSTREAMS,1r-1,1,2=RO
xreadgroup stream wb kSTREAMS,4r-1,1,2=RO
xrevrange stream r i1r0,1,0=RO
xsetid stream w i1r0,1,0=RW
xtrim stream w i1r0,1,0=RW
zadd sorted-set w i1r0,1,0=RW
zcard sorted-set r i1r0,1,0=RO
zcount sorted-set r i1r0,1,0=RO
zdiff sorted-set r i1n0,1,1=RO
zdiffstore sorted-set w i1r0,1,0=OW i2n0,1,1=RO
zincrby sorted-set w i1r0,1,0=RW
zinter sorted-set r i1n0,1,1=RO
zintercard sorted-set r i1n0,1,1=RO
zinterstore sorted-set w i1r0,1,0=OW i2n0,1,1=RO
zlexcount sorted-set r i1r0,1,0=RO
zmpop sorted-set w i1n0,1,1=RW
zmscore sorted-set r i1r0,1,0=RO
zpopmax sorted-set w i1r0,1,0=RW
zpopmin sorted-set w i1r0,1,0=RW
zrandmember sorted-set r i1r0,1,0=RO
zrange sorted-set r i1r0,1,0=RO
zrangebylex sorted-set r i1r0,1,0=RO
zrangebyscore sorted-set r i1r0,1,0=RO
zrangestore sorted-set w i1r0,1,0=OW i2r0,1,0=RO
zrank sorted-set r i1r0,1,0=RO
zrem sorted-set w i1r0,1,0=RW
zremrangebylex sorted-set w i1r0,1,0=RW
zremrangebyrank sorted-set w i1r0,1,0=RW
zremrangebyscore sorted-set w i1r0,1,0=RW
zrevrange sorted-set r i1r0,1,0=RO
zrevrangebylex sorted-set r i1r0,1,0=RO
zrevrangebyscore sorted-set r i1r0,1,0=RO
zrevrank sorted-set r i1r0,1,0=RO
zscan sorted-set r i1r0,1,0=RO
zscore sorted-set r i1r0,1,0=RO
zunion sorted-set r i1n0,1,1=RO
zunionstore sorted-set w i1r0,1,0=OW i2n0,1,1=RO
`;

const parseSpec = (text: string): KeySpec => {
  const [, begin, from, kind, a, b, c, access] =
    /^(i\d+|k\w+),?(-?\d+)?([rn])(-?\d+),(-?\d+),(-?\d+)=(\w+|\?)!?$/.exec(text) ?? [];
  return {
    begin: begin!.startsWith('i')
      ? { index: Number(begin!.slice(1)) }
      : { keyword: begin!.slice(1), from: Number(from) },
    find:
      kind === 'r'
        ? { kind: 'range', last: Number(a), step: Number(b), limit: Number(c) }
        : { kind: 'keynum', count: Number(a), first: Number(b), step: Number(c) },
    access: access === '?' ? 'RO' : (access as Access),
  };
};

/** Command (lower case; `object|encoding` for a subcommand that has keys) → what is known of it. */
export const COMMANDS: ReadonlyMap<string, CommandInfo> = new Map(
  TABLE.trim()
    .split('\n')
    .map((line) => {
      const [name, group, flags, ...specs] = line.split(' ') as [string, string, string, ...string[]];
      return [
        name,
        {
          name,
          group,
          write: flags.includes('w'),
          readonly: flags.includes('r'),
          blocking: flags.includes('b'),
          admin: flags.includes('a'),
          pubsub: flags.includes('p'),
          keySpecs: specs.map(parseSpec),
        },
      ];
    }),
);

/** Key specs of a call; subcommand specs win over the command's own. */
export function commandInfo(command: string, firstArgument: string | undefined): CommandInfo | undefined {
  return (
    (firstArgument === undefined ? undefined : COMMANDS.get(`${command}|${firstArgument.toLowerCase()}`)) ??
    COMMANDS.get(command)
  );
}

export interface KeyPosition {
  index: number;
  access: Access;
}

/**
 * Where the keys of one call are. `argument(i)` gives argument i as text (0 is the command's name).
 * A call that does not fit its specification (too short, numkeys beyond the end) has the keys that do fit.
 */
export function keyPositions(info: CommandInfo, count: number, argument: (index: number) => string): KeyPosition[] {
  const keys: KeyPosition[] = [];
  for (const { begin, find, access } of info.keySpecs) {
    const start = 'index' in begin ? begin.index : findKeyword(begin.keyword, begin.from, count, argument) + 1;
    if (start <= 0 || start >= count) continue;
    let first = start;
    let last: number;
    if (find.kind === 'keynum') {
      const declared = Number(argument(start + find.count));
      if (!Number.isInteger(declared) || declared < 1) continue;
      first = start + find.first;
      last = first + (declared - 1) * find.step;
    } else if (find.last >= 0) {
      last = start + find.last;
    } else {
      // Negative: counted from the end; `limit` halves what remains (XREAD's keys come before as many ids).
      last = count + find.last;
      if (find.limit > 1) last = start + Math.floor((count - start) / find.limit) - 1;
    }
    for (let index = first; index <= Math.min(last, count - 1); index += find.step) keys.push({ index, access });
  }
  return keys;
}

function findKeyword(keyword: string, from: number, count: number, argument: (index: number) => string): number {
  for (let i = Math.abs(from); i < count; i++) if (argument(i).toUpperCase() === keyword) return i;
  return -1;
}
