/** The README and the pages of docs say what is true: commands and flags exist, examples run and compile, tables are the code's. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { before, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import type { Command } from '@oclif/core';
import { makeDocs } from '../docs/make.ts';
import { EXIT_CODES } from '../src/errors.ts';
import { cutover, root } from './support/cli.ts';
import { temporaryFolder } from './support/temporary.ts';

const read = (path: string) => readFileSync(join(root, path), 'utf8');
const readme = read('README.md');
const scripts: Record<string, string> = JSON.parse(read('package.json')).scripts;
const PAGES = ['README.md', ...globSync('docs/*.md', { cwd: root })];

test('what is generated is current (else: node docs/make.ts)', async () => {
  for (const [path, text] of await makeDocs()) assert.equal(read(path), text, path);
});

test('the exit codes are those of the code', () => {
  for (const { code, meaning } of Object.values(EXIT_CODES)) {
    assert.ok(readme.replaceAll('`', '').includes(`| ${code} | ${meaning} |`), `${code} ${meaning}`);
  }
});

/** Command lines as a user types them: `model show` → its class. */
const commands = new Map<string, Command.Class>();
before(async () => {
  for (const file of globSync('commands/**/*.ts', { cwd: root })) {
    const name = relative('commands', file).replace(/\.ts$/, '').replaceAll('/', ' ');
    commands.set(name, (await import(pathToFileURL(join(root, file)).href)).default);
  }
});

test('every command is named in the README', () => {
  for (const name of commands.keys()) {
    const [topic, ...rest] = name.split(' ');
    assert.match(readme, new RegExp(`\\| \`cutover ${topic}[ \`]`), name);
    if (rest.length > 0) assert.match(readme, new RegExp(`${topic}[^\`]* ${rest.join(' ')}\\b`), name);
  }
});

/** Every command line of a page: in code blocks, and in code of a line of text. */
function commandLines(page: string): string[] {
  const blocks = [...page.matchAll(/```(?:sh|bash|yaml)\n([\s\S]*?)```/g)].map(([, text]) => text!);
  const rest = page.replace(/```[\s\S]*?```/g, '');
  const inline = [...rest.matchAll(/`(cutover [^`]*)`/g)].map(([, text]) => text!);
  return [...blocks.join('\n').replaceAll('\\\n', ' ').split('\n'), ...inline]
    .flatMap((line) => [...line.matchAll(/(?:^|\s)(?:cutover|npm run dev --) +([a-z].*)/g)].map(([, words]) => words!))
    .map((words) => words.split(/ [|>]|;| && /)[0]!.trim());
}

/** Checks words after `cutover` against the command's own flags. */
function checkCommandLine(line: string, where: string) {
  const words = line.match(/"[^"]*"|'[^']*'|\S+/g)!;
  const two = words.slice(0, 2).join(' ');
  const name = commands.has(two) ? two : words[0]!;
  const command = commands.get(name);
  assert.ok(command, `${where}: there is no command ${name}`);
  const flags = { ...command.baseFlags, ...command.flags };
  for (const [i, word] of words.entries()) {
    const [, long, short, value] = /^(?:--([a-z][a-z-]*)|-([a-z]))(?:=(.*))?$/.exec(word) ?? [];
    if (long === undefined && short === undefined) continue;
    if (long === 'help' || (long === 'json' && command.enableJsonFlag)) continue;
    const flag = long === undefined ? Object.values(flags).find(({ char }) => char === short) : flags[long];
    assert.ok(flag, `${where}: cutover ${name} has no ${word}`);
    if (flag.type !== 'option' || !flag.options) continue;
    const given = value ?? words[i + 1];
    assert.ok(given && flag.options.includes(given), `${where}: ${word} ${given}`);
  }
}

for (const path of PAGES) {
  test(`${path}: commands, their flags and their choices exist, npm scripts too`, () => {
    const page = read(path);
    for (const line of commandLines(page)) checkCommandLine(line, `${path}: ${line}`);
    for (const [, script] of page.matchAll(/(?:^|`)npm (?:run )?(\w+)/gm)) {
      assert.ok(['install', 'ci'].includes(script!) || script! in scripts, `npm run ${script}`);
    }
  });

  test(`${path}: what it links to is there`, () => {
    const page = read(path).replace(/```[\s\S]*?```/g, '');
    for (const [, target] of page.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target!)) continue;
      const [file, anchor] = target!.split('#') as [string, string?];
      const linked = file === '' ? path : join(dirname(path), file);
      assert.ok(existsSync(join(root, linked)), `${path} links to ${target}`);
      if (anchor === undefined) continue;
      const anchors = [...read(linked).matchAll(/^#+ (.*)$/gm)].map(([, title]) =>
        title!
          .toLowerCase()
          .replace(/[^\p{L}\p{N} _-]/gu, '')
          .replaceAll(' ', '-'),
      );
      assert.ok(anchors.includes(anchor), `${path} links to ${target}`);
    }
  });
}

test('a wrong flag, choice or command in a page would be found', () => {
  for (const line of ['run x.log --no-such-flag', 'report x --format pdf', 'nosuch x', 'run -z 1']) {
    assert.throws(() => checkCommandLine(line, 'test'), assert.AssertionError, line);
  }
  assert.deepEqual(commandLines('```sh\nA=1 cutover run x | tee y\nnpm run dev -- doctor\n```\n`cutover ops x`'), [
    'run x',
    'doctor',
    'ops x',
  ]);
});

test('commands of the quick start run', async () => {
  const block = /```sh\n(npm run dev[^`]*)```/.exec(readme)?.[1];
  assert.ok(block);
  for (const line of block.trim().split('\n')) {
    const args = line.replace('npm run dev -- ', '').split(' ');
    if (args[0] === 'doctor' || args[0] === 'run') args.push('--json');
    const { code, stdout, stderr } = await cutover(args);
    assert.ok(code === 0 || (args[0] === 'run' && [1, 4, 5].includes(code!)), `${line}: ${code}\n${stderr}`);
    assert.ok(stdout.length > 100);
  }
});

test('the examples of docs/extending.md compile where they say they are', async () => {
  // Beside the sources, in a folder of their own: imports of `../` are made to point to the real ones.
  const folder = temporaryFolder();
  const examples = [...read('docs/extending.md').matchAll(/```ts (\S+)\n([\s\S]*?)```/g)];
  assert.equal(examples.length, 5);
  for (const [, path, text] of examples) {
    const real = dirname(join(root, path!));
    const absolute = text!.replace(/from '(\.[^']*)'/g, (_, specifier: string) => `from '${join(real, specifier)}'`);
    assert.match(text!, /^\/\*\* .*\*\/\n/, 'it says what it is, as every source file does');
    mkdirSync(join(folder, dirname(path!)), { recursive: true });
    writeFileSync(join(folder, path!), absolute);
  }
  const compilerOptions = {
    ...{ noEmit: true, allowImportingTsExtensions: true, rewriteRelativeImportExtensions: false, rootDir: '/' },
    typeRoots: [join(root, 'node_modules/@types')],
  };
  const config = { extends: join(root, 'tsconfig.json'), include: ['src'], compilerOptions };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config));
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  const tsc = join(root, 'node_modules/.bin/tsc');
  const { stdout } = await promisify(execFile)(tsc, ['-p', folder]).catch((error) => error);
  assert.equal(stdout, '');
});

test('examples in help are commands that exist, on files that are there', () => {
  for (const [name, { examples = [] }] of commands) {
    assert.ok(examples.length > 0, `${name} has examples`);
    for (const example of examples) {
      const text = (typeof example === 'string' ? example : example.command).replaceAll('<%= command.id %>', name);
      const lines = commandLines(`\`\`\`sh\n${text.replaceAll('<%= config.bin %>', 'cutover')}\n\`\`\``);
      assert.ok(lines.length > 0, text);
      for (const line of lines) checkCommandLine(line, `${name} --help: ${line}`);
      for (const [path] of text.matchAll(/captures\/[\w.]+/g)) assert.ok(existsSync(join(root, path)), path);
    }
  }
});
