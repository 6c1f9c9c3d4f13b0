/** The README says what is true: its commands run, its tables are the code's. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { EXIT_CODES } from '../src/errors.ts';
import { cutover, root } from './support/cli.ts';

const readme = readFileSync(join(root, 'README.md'), 'utf8');
const scripts: Record<string, string> = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).scripts;

test('the exit codes are those of the code', () => {
  for (const { code, meaning } of Object.values(EXIT_CODES)) {
    assert.ok(readme.replaceAll('`', '').includes(`| ${code} | ${meaning} |`), `${code} ${meaning}`);
  }
});

test('every command is named, and every one that is named exists', async () => {
  const commands = globSync('*.ts', { cwd: join(root, 'commands') }).map((file) => basename(file, '.ts'));
  for (const command of commands) assert.match(readme, new RegExp(`\\| \`cutover ${command}[ \`]`), command);
  for (const [, command] of readme.matchAll(/cutover (\w+)[^\n]*`/g)) {
    if (command !== 'starts') assert.ok(commands.includes(command!), `cutover ${command}`);
  }
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
  for (const [, script] of readme.matchAll(/(?:^|`)npm (?:run )?(\w+)/gm)) {
    assert.ok(script === 'install' || script! in scripts, `npm run ${script}`);
  }
});

test('examples in help name files that are there', async () => {
  for (const file of globSync('commands/*.ts', { cwd: root })) {
    const { code, stdout } = await cutover([basename(file, '.ts'), '--help']);
    assert.equal(code, 0);
    assert.match(stdout, /EXAMPLES/, file);
    for (const [path] of stdout.matchAll(/captures\/[\w.]+/g)) assert.ok(readFileSync(join(root, path)).length > 0);
  }
});
