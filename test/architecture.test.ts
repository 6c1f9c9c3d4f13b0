/** Keeps the layout: ranked folders, one home per third-party library, complete indexes. */
import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { test } from 'node:test';

const root = resolve(import.meta.dirname, '..');
const RANKS = [
  'errors',
  'printable',
  'capture',
  'model',
  'plan',
  'servers',
  'faults',
  'measure',
  'drive',
  'compare',
  'report',
  'cli',
  'commands',
];
/** What any file may import. */
const EVERYWHERE = ['errors', 'printable'];
/** Folders that stand apart: what they may import besides themselves and that. */
const APART: Record<string, string[]> = { lint: ['capture'], fuzz: ['plan', 'servers', 'drive'] };
const NEVER: Record<string, string[]> = { compare: ['drive', 'servers'], report: ['drive', 'servers'] };
const HOMES: Record<string, string[]> = {
  ioredis: ['src/drive/clients', 'src/servers', 'src/capture/record/'],
  iovalkey: ['src/drive/clients'],
  testcontainers: ['src/servers/docker.ts'],
  '@oclif/core': ['src/cli', 'commands'],
  luaparse: ['src/lint'],
  uplot: ['src/report/html'],
  'hdr-histogram-js': ['src/measure/histogram.ts'],
};

const files = globSync(['src/**/*.ts', 'commands/**/*.ts'], { cwd: root });
const folderOf = (file: string) => (file.startsWith('commands/') ? 'commands' : basename(file.split('/')[1]!, '.ts'));
const importsOf = (file: string) =>
  [
    ...readFileSync(join(root, file), 'utf8').matchAll(
      /^(import|export) (type )?[^;]*?from '([^']+)'|\bimport\('([^']+)'\)/gm,
    ),
  ].map((m) => ({
    specifier: (m[3] ?? m[4])!,
    typeOnly: m[2] !== undefined,
  }));

test('a file imports from its own folder or a lower rank', () => {
  for (const file of files) {
    const from = folderOf(file);
    for (const { specifier, typeOnly } of importsOf(file)) {
      if (!specifier.startsWith('.')) continue;
      const to = folderOf(relative(root, resolve(root, dirname(file), specifier)));
      if (to === from || EVERYWHERE.includes(to)) continue;
      const allowed =
        from in APART ? APART[from]!.includes(to) : RANKS.indexOf(to) < RANKS.indexOf(from) && RANKS.includes(to);
      assert.ok(
        allowed || (['cli', 'commands'].includes(from) && to in APART),
        `${file} imports ${specifier}: ${from} may not import ${to}`,
      );
      assert.ok(
        typeOnly || !NEVER[from]?.includes(to),
        `${file} imports ${specifier}: a saved rehearsal is judged without servers`,
      );
    }
  }
});

test('each third-party library has one home', () => {
  for (const file of files) {
    for (const { specifier } of importsOf(file)) {
      const homes = Object.entries(HOMES).find(
        ([library]) => specifier === library || specifier.startsWith(`${library}/`),
      )?.[1];
      assert.ok(
        !homes || homes.some((home) => file.startsWith(home)),
        `${file} imports ${specifier}, whose home is ${homes?.join(', ')}`,
      );
    }
  }
});

test('each index lists every file beside it', () => {
  for (const folder of [
    'src/servers',
    'src/drive/clients',
    'src/faults',
    'src/compare/metrics',
    'src/report',
    'src/lint/rules',
  ]) {
    if (!existsSync(join(root, folder, 'index.ts'))) continue;
    const listed = importsOf(join(folder, 'index.ts')).map(({ specifier }) => basename(specifier));
    for (const file of globSync('*.ts', { cwd: join(root, folder) })) {
      if (file !== 'index.ts') assert.ok(listed.includes(file), `${folder}/index.ts does not list ${file}`);
    }
  }
});

test('every source file says what it does, and no folder is a drawer', () => {
  for (const file of files) {
    assert.match(
      readFileSync(join(root, file), 'utf8'),
      /^\/\*\*/,
      `${file} does not open with a sentence on what it is`,
    );
    assert.doesNotMatch(file, /utils?|helpers?|common|manager/);
  }
});

test('npm test runs every test file once: alone where servers are under load, two at a time elsewhere', () => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const patterns = [...`${scripts['test:pure']} ${scripts['test:load']}`.matchAll(/'([^']+)'/g)].map(
    ([, glob]) => glob!,
  );
  const run = patterns.flatMap((glob) => globSync(glob, { cwd: root }));
  assert.deepEqual(run.sort(), globSync('test/**/*.test.ts', { cwd: root }).sort());
});
