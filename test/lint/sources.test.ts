/** What is read from files, captures and client sources, and where it stands. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { lint } from '../../src/lint/engine.ts';
import { parseProfile } from '../../src/lint/profile.ts';
import { RULES } from '../../src/lint/rules/index.ts';
import { type Language, readClient, scriptsIn } from '../../src/lint/sources/client.ts';
import { readSources } from '../../src/lint/sources/read.ts';
import { temporaryFile } from '../support/capture.ts';
import { temporaryFolder } from '../support/temporary.ts';

/** A folder with these files. */
function folderOf(files: Record<string, string>): string {
  const folder = temporaryFolder();
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return folder;
}

test('BullMQ includes are put in, each once, and keep their own places', async () => {
  const folder = folderOf({
    'addJob-6.lua':
      'local rcall = redis.call\n--- @include "includes/push"\n--- @include "includes/push"\npush(KEYS[1])\n',
    'includes/push.lua': '--- @include "deeper"\nlocal function push(key)\n  return rcall(\'LPUSH\', key, deep)\nend',
    'includes/deeper.lua': 'local deep = 1',
  });
  const { scripts } = await readSources([folder]);
  assert.deepEqual(
    scripts.map(({ name }) => name),
    [join(folder, 'addJob-6.lua')],
    'included files are no scripts of their own',
  );
  const [{ text, place, declaredKeys, fragment }] = scripts as [(typeof scripts)[0]];
  assert.equal(declaredKeys, 6);
  assert.equal(fragment, false);
  assert.equal(text.match(/local function push/g)!.length, 1);
  const { file, line, column } = place(text.indexOf("rcall('LPUSH'"));
  assert.deepEqual({ file, line, column }, { file: join(folder, 'includes/push.lua'), line: 3, column: 10 });
  assert.equal(place(text.indexOf('push(KEYS')).line, 4);
});

test('an include that is not there makes a fragment', async () => {
  const { scripts } = await readSources([temporaryFile('a.lua', '--- @include "gone"\nreturn f()')]);
  assert.equal(scripts[0]!.fragment, true);
});

test('ERB holes are opaque, lengths of tables are not holes', async () => {
  const { scripts } = await readSources([
    temporaryFile('a.lua', "<%= include_partial 'x' %>\nlocal n = <%= limit %>\nlocal k = #{ 1, 2 }\nreturn n"),
  ]);
  assert.equal(scripts[0]!.text, `${' '.repeat(26)}\nlocal n = ____________\nlocal k = #{ 1, 2 }\nreturn n`);
});

const escaped = 'return redis.call(\'SET\', "a", KEYS[1])';
const sources: [Language, string, string][] = [
  ['javascript', "const a = `return redis.call('GET', KEYS[1])`;", "return redis.call('GET', KEYS[1])"],
  ['javascript', "f('return ' +\n  \"redis.call('GET', '\" + name + \"')\")", "return redis.call('GET', '____')"],
  [
    'javascript',
    "// redis.call('GET') return\nconst re = /\"return redis.call('X')/; f('return redis.call(\"GET\", 1)')",
    'return redis.call("GET", 1)',
  ],
  [
    'javascript',
    '["local a = 1", "return redis.call(\'GET\', a)"].join("\\n")',
    "local a = 1\nreturn redis.call('GET', a)",
  ],
  [
    'javascript',
    ["x = `return redis.call('GET', '", "{a.b({c: 1})}')`"].join('$'),
    "return redis.call('GET', '______________')",
  ],
  ['python', `x = """\nlocal a = 1\nreturn redis.call('GET', a)\n"""`, "\nlocal a = 1\nreturn redis.call('GET', a)\n"],
  ['python', `x = ("return "\n     "redis.call('GET', 1)")  # redis.call("X") return`, "return redis.call('GET', 1)"],
  ['python', `x = f"return redis.call('GET', '{key!r}', {{1}})"`, "return redis.call('GET', '_______', {1})"],
  ['ruby', "S = <<~LUA\n  return redis.call('GET', '#{key}')\nLUA\nputs 1", "  return redis.call('GET', '______')\n"],
  ['go', 'var s = redis.NewScript(`return redis.call("GET", KEYS[1])`)', 'return redis.call("GET", KEYS[1])'],
  ['java', `String s = "return redis.call(" + "'GET', KEYS[1])";`, "return redis.call('GET', KEYS[1])"],
  ['java', `String s = """\n  return redis.call('GET', KEYS[1])\n""";`, "\n  return redis.call('GET', KEYS[1])\n"],
  ['php', `$s = 'return redis.call(\\'SET\\', "a", KEYS[1])';`, escaped],
  ['php', "return <<<'LUA'\nreturn redis.call('GET', KEYS[1])\nLUA;", "return redis.call('GET', KEYS[1])\n"],
];
for (const [i, [language, source, script]] of sources.entries()) {
  test(`${language} source ${i + 1}: the script in it`, () => {
    const found = scriptsIn(readClient('f', language, source));
    assert.deepEqual(
      found.map(({ text }) => text),
      [script],
    );
    // Every place leads back to the same text, holes aside.
    const at = script.indexOf('redis.call');
    const { line, column } = found[0]!.place(at);
    assert.ok(
      source
        .split('\n')
        [line - 1]!.slice(column - 1)
        .startsWith('redis.call'),
      `${line}:${column}`,
    );
  });
}

test('prose that mentions redis.call is no script', () => {
  assert.deepEqual(scriptsIn(readClient('f', 'javascript', "throw new Error('redis.call(x) failed')")), []);
});

test('a capture: scripts with calls and clients, commands by shape', async () => {
  const script = "return redis.call('GET', KEYS[1])";
  const sha = 'd3c21d0c2b9ca22f82737626a27bcaf5d288f99f';
  const line = (client: string, ...args: string[]) =>
    `1700000000.000001 [0 ${client}] ${args.map((arg) => JSON.stringify(arg)).join(' ')}\n`;
  const capture = [
    line('1.1.1.1:1', 'eval', script, '1', 'a'),
    line('lua', 'GET', 'a'),
    line('1.1.1.1:2', 'evalsha', sha.toUpperCase(), '1', 'a'),
    line('lua', 'GET', 'a'),
    line('1.1.1.1:2', 'evalsha', 'f'.repeat(40), '0'),
    line('lua', 'HEXPIRE', 'h', '1', 'FIELDS', '1', 'f'),
    line('1.1.1.1:2', 'multi'),
    line('1.1.1.1:2', 'SCAN', '0', 'TYPE', 'foo'),
    line('1.1.1.1:2', 'exec'),
    line('1.1.1.1:3', 'set', 'k', 'ifeq', 'nx'),
    line('1.1.1.1:3', 'set', 'k2', 'w', 'nx'),
  ].join('');
  const { scripts, commands, notes } = await readSources([temporaryFile('c.gz', gzipSync(capture))]);
  assert.deepEqual(
    scripts.map(({ text, calls, clients, sha: own, declaredKeys }) => ({ text, calls, clients, own, declaredKeys })),
    [{ text: script, calls: 2, clients: 2, own: sha, declaredKeys: 1 }],
  );
  const shapes = commands.map(({ name, calls, inTransaction, fromScript }) => ({
    name,
    calls,
    inTransaction,
    fromScript,
  }));
  assert.ok(!shapes.some(({ name }) => name === 'get'), 'what a known script did is read from its text');
  assert.deepEqual(
    shapes.find(({ name }) => name === 'hexpire'),
    { name: 'hexpire', calls: 1, inTransaction: false, fromScript: true },
  );
  assert.deepEqual(
    shapes.find(({ name }) => name === 'scan'),
    { name: 'scan', calls: 1, inTransaction: true, fromScript: false },
  );
  assert.equal(shapes.find(({ name }) => name === 'set')!.calls, 2, 'values do not tell shapes apart');
  assert.match(notes.join(), /1 script was called by EVALSHA only/);
});

test('redis.conf', async () => {
  const { configurations } = await readSources([
    temporaryFile('redis.conf', '# io-threads 9\nsave 900 1\n  rename-command CONFIG ""\n'),
  ]);
  assert.deepEqual(
    configurations[0]!.directives.map(({ name, args, offset }) => ({ name, args, offset })),
    [
      { name: 'save', args: ['900', '1'], offset: 15 },
      { name: 'rename-command', args: ['CONFIG', ''], offset: 28 },
    ],
  );
});

const onlyScript = (language: Language, text: string) => {
  const units = scriptsIn(readClient('f', language, text));
  return units.at(-1)!;
};
const dollar = '$';

test('holes that name a constant of the same source are filled', () => {
  const shared = `const COMMON = \`local n = redis.call('GET', KEYS[1])\`;\n`;
  const unit = onlyScript('javascript', `${shared}const script = \`${dollar}{COMMON}\nreturn redis.call('SET', n)\`;`);
  assert.equal(unit.text, "local n = redis.call('GET', KEYS[1])\nreturn redis.call('SET', n)");
  assert.equal(unit.fragment, false);
  assert.equal(unit.place(unit.text.indexOf('KEYS')).line, 1, 'the constant has its own place');
  assert.equal(unit.place(unit.text.indexOf("redis.call('SET'")).line, 3);
  assert.equal(
    onlyScript('java', 'static final String A = "local n = 1 ";\nString s = A + "return redis.call(\'GET\', n)" + B;')
      .fragment,
    true,
    'what is not known stays a hole',
  );
  assert.equal(
    onlyScript('php', `<?php\nconst KEY = 'jobs';\n$s = "return redis.call('GET', '{$key}')";`).text,
    "return redis.call('GET', '______')",
    'another name',
  );
});

test('names that are assigned twice, or in a function, are no constants', () => {
  const use = `f(\`return redis.call('GET', '${dollar}{name}')\`)`;
  for (const text of [`let name = 'a';\nname = 'b';\n${use}`, `function g() {\n  const name = 'a';\n  ${use}\n}`]) {
    assert.equal(onlyScript('javascript', text).fragment, true, text);
  }
  assert.equal(onlyScript('javascript', `const name = 'a';\n${use}`).text, "return redis.call('GET', 'a')");
});

test('conversions of printf are holes where the text is no Lua otherwise', async () => {
  const profile = parseProfile('--from redis@8.0 --to valkey@8.1');
  const look = async (text: string) =>
    lint(await readSources([temporaryFile('a.lua', text)]), {
      profile,
      rules: RULES.filter(({ code }) => code === 'D01'),
    });
  const template = await look("local limit = %d\n%s\nredis.call('VADD', %(key)s, '%s', '100%%')\nreturn 5 %% limit\n");
  assert.deepEqual(template.parseErrors, []);
  assert.deepEqual(
    template.findings.map(({ line, column }) => [line, column]),
    [[3, 1]],
  );
  const remainder = await look('local s = 3\nreturn 10 %s');
  assert.deepEqual(remainder.parseErrors, [], 'the remainder by s');
  assert.equal((await look('return %s +')).parseErrors.length, 1);
});

test('the number of keys that stands beside a script', () => {
  const declared = (text: string) => onlyScript('javascript', text).declaredKeys;
  const script = '"return redis.call(\'GET\', KEYS[1])"';
  assert.equal(declared(`redis.eval(${script}, 2, a, b)`), 2);
  assert.equal(declared(`redis.eval(${script}, keys.length, ...keys)`), undefined);
  assert.equal(declared(`redis.defineCommand('x', { numberOfKeys: 1, lua: ${script} })`), 1);
  assert.equal(declared(`redis.defineCommand('x', { lua: ${script}, numberOfKeys: 3 })`), 3);
  assert.equal(declared(`const s = ${script}, 2;`), undefined);
});
