/** What the analysis knows of calls, values, loops and flow. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Script } from '../../src/lint/program.ts';
import { placesIn } from '../../src/lint/sources/unit.ts';
import { parseLua } from '../../src/lint/syntax.ts';
import { hashTagOf, originOf, slotRelation } from '../../src/lint/values.ts';

function read(text: string): Script {
  const parsed = parseLua(text);
  assert.ok('chunk' in parsed, text);
  return new Script({ name: 's', text, holes: [], fragment: false, place: placesIn('s', text) }, parsed.chunk);
}
const callsOf = (text: string) =>
  read(text).calls.map(({ fullNames, dynamic, literals }) => ({ fullNames, dynamic, literals }));
const only = (text: string) => {
  const script = read(text);
  assert.equal(script.calls.length, 1);
  return { script, call: script.calls[0]! };
};

test('aliases of redis.call', () => {
  for (const text of [
    "redis.call('GET', 'k')",
    "redis['call']('GET', 'k')",
    "local c = redis.call\nc('GET', 'k')",
    "local r = redis\nlocal c = r.call\nreturn c('get', 'k')",
    "_G.redis.call('GET', 'k')",
    "server.call('GET', 'k')",
    "local pc = redis.pcall\nreturn pc('GET', 'k')",
    "local ok, v = pcall(redis.call, 'GET', 'k')",
    "local function get(...) return redis.call('GET', ...) end\nreturn get('k')",
    "local function call(...) return redis.call(...) end\nlocal function again(...) return call(...) end\nreturn again('GET', 'k')",
    "local function get(key) return redis.call('GET', key) end\nreturn get('k')",
  ]) {
    assert.deepEqual(callsOf(text), [{ fullNames: ['get'], dynamic: false, literals: ['k'] }], text);
  }
});

test('what is no command', () => {
  for (const text of [
    "local redis = { call = print }\nredis.call('GET')",
    "local t = {}\nt.call('GET')",
    'return "redis.call(\'GET\')"',
  ]) {
    assert.deepEqual(callsOf(text), [], text);
  }
});

test('names by locals, parameters and call sites; what is not known is dynamic', () => {
  assert.deepEqual(callsOf("local cmd = 'LPUSH'\nredis.call(cmd, KEYS[1])")[0]!.fullNames, ['lpush']);
  assert.deepEqual(
    callsOf(
      "local function push(cmd, key) redis.call(cmd, key) end\npush('LPUSH', KEYS[1])\npush('RPUSH', KEYS[2])",
    ).map(({ fullNames, dynamic }) => ({ fullNames, dynamic })),
    [{ fullNames: ['lpush', 'rpush'], dynamic: false }],
  );
  assert.deepEqual(callsOf('redis.call(ARGV[1], KEYS[1])')[0], { fullNames: [], dynamic: true, literals: [undefined] });
  assert.deepEqual(callsOf("local c = 'LPUSH'\nif ARGV[1] then c = ARGV[1] end\nredis.call(c, 'k')")[0], {
    fullNames: ['lpush'],
    dynamic: true,
    literals: ['k'],
  });
  assert.deepEqual(callsOf("redis.call('CONFIG', 'SET', 'a', 1)")[0]!.fullNames, ['config set']);
});

test('keys stand where key specifications say', () => {
  const keys = (text: string) => only(text).call.keys.map(({ index, access }) => `${index} ${access}`);
  assert.deepEqual(keys("redis.call('SET', KEYS[1], 'v')"), ['0 RW']);
  assert.deepEqual(keys("redis.call('XREADGROUP', 'GROUP', 'g', 'c', 'STREAMS', KEYS[1], '>')"), ['4 RO']);
  assert.deepEqual(keys("redis.call('ZUNIONSTORE', KEYS[1], 2, KEYS[2], KEYS[3], 'WEIGHTS', 1, 2)"), [
    '0 OW',
    '2 RO',
    '3 RO',
  ]);
  assert.deepEqual(keys("redis.call('BITOP', 'AND', KEYS[1], KEYS[2], KEYS[3])"), ['1 OW', '2 RO', '3 RO']);
  assert.deepEqual(keys("redis.call('MSET', KEYS[1], 1, KEYS[2], 2)"), ['0 OW', '2 OW']);
  assert.deepEqual(keys("redis.call('PUBLISH', 'channel', 'x')"), []);
  assert.deepEqual(keys("redis.call('DEL', unpack(KEYS))"), ['0 RM']);
});

test('origin of keys', () => {
  const origin = (key: string) =>
    originOf(only(`local prefix = ARGV[1]\nlocal id = 1\nredis.call('GET', ${key})`).call.keys[0]!.value);
  assert.equal(origin('KEYS[1]'), 'keys');
  assert.equal(origin("KEYS[1] .. ':meta'"), 'keys+literal');
  assert.equal(origin('KEYS[1] .. ARGV[2]'), 'keys+argv');
  assert.equal(origin("prefix .. 'x'"), 'argv');
  assert.equal(origin("'x:' .. id"), 'literal');
  assert.equal(
    originOf(read("local id = redis.call('LPOP', KEYS[1])\nredis.call('GET', 'job:' .. id)").calls[1]!.keys[0]!.value),
    'data',
  );
  assert.equal(originOf(read("for _, k in ipairs(KEYS) do redis.call('DEL', k) end").calls[0]!.keys[0]!.value), 'keys');
  assert.equal(
    originOf(read('local function f(k) redis.call("DEL", k) end\nreturn f').calls[0]!.keys[0]!.value),
    'unknown',
  );
});

test('a variable that begins as nil has the origin of what it becomes: nil is no key', () => {
  const { call } = only(
    "local k = nil\nif ARGV[1] then k = KEYS[1] .. ':a' else k = KEYS[1] .. ':b' end\nredis.call('GET', k)",
  );
  assert.equal(originOf(call.keys[0]!.value), 'keys+literal');
});

test('hash tags', () => {
  const key = (text: string) => only(`redis.call('GET', ${text})`).call.keys[0]!.value;
  assert.equal(hashTagOf(key("'{user}:' .. ARGV[1]")), 'user');
  assert.equal(hashTagOf(key("'{}:{x}'")), undefined);
  assert.equal(hashTagOf(key("KEYS[1] .. '{x}'")), undefined);
  assert.equal(slotRelation(key("KEYS[1] .. ':x'"), [key('KEYS[1]')]), 'possible');
  assert.equal(slotRelation(key("'{a}1'"), [key("'{b}2'")]), 'no');
  assert.equal(slotRelation(key("'{a}1'"), [key("'{a}2'")]), 'yes');
});

test('bounds of loops', () => {
  const bounds = (text: string) =>
    read(text)
      .calls.at(-1)!
      .loops.map(({ bound }) => (bound.kind === 'constant' ? bound.count : bound.kind));
  assert.deepEqual(bounds("for i = 1, 10, 3 do redis.call('GET', 'k') end"), [4]);
  assert.deepEqual(bounds("for i = 1, #KEYS do redis.call('GET', KEYS[i]) end"), ['keys']);
  assert.deepEqual(bounds("for i = 1, tonumber(ARGV[1]) do redis.call('GET', 'k') end"), ['argv']);
  assert.deepEqual(bounds("local m = redis.call('SMEMBERS', 'k')\nfor i = #m, 1, -1 do redis.call('DEL', m[i]) end"), [
    'reply',
  ]);
  assert.deepEqual(bounds("for _, v in ipairs(redis.call('SMEMBERS', 'k')) do local x = v end"), []);
  assert.deepEqual(bounds("while true do redis.call('LPOP', 'k') end"), ['open']);
  assert.deepEqual(bounds("local i = 0 while i < 10 do i = i + 1 redis.call('GET', 'k') end"), [10], 'a counter');
  assert.deepEqual(bounds("local i = 1 while i <= #ARGV and ok do redis.call('GET', 'k') i = i + 2 end"), ['argv']);
  assert.deepEqual(
    bounds("local n = 0 while true do n = n + 1 if n > 5 then break end redis.call('LPOP', 'k') end"),
    [5],
  );
  assert.deepEqual(
    bounds("local n = 0 while true do n = n + 1 if n > 5 and x then break end redis.call('LPOP', 'k') end"),
    ['open'],
    'the counter alone does not end it',
  );
  assert.deepEqual(
    bounds("for _, v in ipairs(redis.call('LRANGE', 'k', 0, 9)) do redis.call('DEL', v) end"),
    [10],
    'a window',
  );
  assert.deepEqual(
    bounds(
      "for _, v in ipairs(redis.call('ZRANGEBYSCORE', 'k', 0, 1, 'LIMIT', 0, ARGV[1])) do redis.call('DEL', v) end",
    ),
    ['argv'],
  );
  assert.deepEqual(
    bounds(
      "local t = {} for _, v in ipairs(redis.call('SMEMBERS', 'k')) do t[#t + 1] = v end for i = 1, #t do redis.call('DEL', t[i]) end",
    ),
    ['reply'],
    'a table filled from a reply',
  );
  assert.deepEqual(bounds("local t = {} for i = 1, #t do t[#t + 1] = 1 redis.call('GET', 'k') end"), [0]);
  assert.deepEqual(
    bounds(
      "local m = tonumber(ARGV[1]) while m > 0 do local r = redis.call('ZRANGE', 'k', 0, m - 1) m = m - #r redis.call('DEL', r[1]) end",
    ),
    ['argv'],
    'counted down from an argument; the limit depends on the reply that it limits',
  );
  assert.deepEqual(
    bounds("local function f() redis.call('GET', 'k') end\nfor i = 1, 3 do f() end"),
    [3],
    'a loop around the call of a function is around what the function does',
  );
});

test('a loop that goes on with the cursor that it was answered', () => {
  const scans = (text: string) => {
    const script = read(text);
    return script.scopes.loops.map((loop) => script.cursorScanOf(script.loopOf(loop)) !== undefined);
  };
  assert.deepEqual(scans("local c = '0' repeat local r = redis.call('SCAN', c) c = r[1] until c == '0'"), [true]);
  assert.deepEqual(scans("for i = 1, 9 do redis.call('SCAN', '0') end"), [false]);
  assert.deepEqual(scans("repeat local r = redis.call('SCAN', ARGV[1]) until r[2][1] == 'x'"), [false]);
});

test('guards: clauses, early returns, and/or, versions', () => {
  const guarded = (text: string) => {
    const { script, call } = only(text);
    return script.isVersionGuarded(call.node);
  };
  assert.ok(guarded("if redis.VALKEY_VERSION_NUM then redis.call('X') end"));
  assert.ok(guarded("if not rawget(_G, 'server') then return end\nredis.call('X')"));
  assert.ok(guarded("local new = redis.REDIS_VERSION_NUM >= 0x070000\nif new and ARGV[1] then redis.call('X') end"));
  assert.ok(guarded("if redis.REDIS_VERSION == '6.2' then return end\nif ARGV[1] then redis.call('X') end"));
  assert.ok(!guarded("if ARGV[1] == 'REDIS' then redis.call('X') end"));
  assert.ok(!guarded("local server = ARGV[1]\nif server then redis.call('X') end"));
});

test('functions: the callback of register_function has KEYS and ARGV', () => {
  for (const text of [
    "#!lua name=l\nredis.register_function('f', function(k, a) return redis.call('SET', k[1], a[1]) end)",
    "#!lua name=l\nlocal function f(k, a) return redis.call('SET', k[1], a[1]) end\nredis.register_function{function_name='f', callback=f}",
  ]) {
    const { script, call } = only(text);
    assert.equal(script.context, 'function');
    assert.deepEqual(
      call.args.map(({ kind }) => kind),
      ['keys', 'argv'],
    );
  }
});

test('where values go', () => {
  const uses = (text: string) => {
    const script = read(text);
    return script.usesOf(script.calls[0]!.node).map(({ kind }) => kind);
  };
  assert.deepEqual(uses("local r = redis.call('GET', 'k')\nreturn r"), ['returned']);
  assert.deepEqual(uses("local r = redis.call('GET', 'k')\nif r == 'x' then redis.call('SET', 'a', r) end"), [
    'compared',
    'argument',
  ]);
  assert.deepEqual(uses("local r = redis.call('GET', 'k') or '0'\nlocal s = 'p' .. r\nredis.call('SET', s, 1)"), [
    'tested',
    'concatenated',
    'argument',
  ]);
  assert.deepEqual(uses("local function f(x) return #x end\nreturn f(redis.call('KEYS', '*'))"), ['length']);
  assert.deepEqual(uses("local ok, e = pcall(redis.call, 'GET', 'k')\nif not ok then return e end"), [
    'tested',
    'returned',
  ]);
});

test('a value that grows exponentially is given up, not walked through', () => {
  const lines = Array.from({ length: 50 }, (_, i) => `local v${i + 1} = v${i} .. v${i}`);
  const { call } = only(`local v0 = KEYS[1] .. ARGV[1]\n${lines.join('\n')}\nredis.call('GET', v50)`);
  assert.equal(originOf(call.keys[0]!.value), 'unknown');
});
