/** Paths as the user gave them → everything in them that rules can look at. */
import { closeSync, openSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { CutoverError, messageOf } from '../../errors.ts';
import { type CapturedCommand, readCapture } from './capture.ts';
import { type ClientSource, LANGUAGES, readClient, scriptsIn } from './client.ts';
import { type Configuration, readConfig } from './config.ts';
import { readLuaFile } from './lua.ts';
import { localsIn, type ScriptUnit } from './unit.ts';

export interface Sources {
  scripts: ScriptUnit[];
  commands: CapturedCommand[];
  clients: ClientSource[];
  configurations: Configuration[];
  /** What was left out, and why. */
  notes: string[];
}

/** Sources beyond this are bundles: their scripts are other packages' scripts. */
const MAX_SOURCE_BYTES = 4 << 20;
/** And hidden ones. */
const SKIPPED_FOLDERS = new Set(['node_modules', 'vendor', '__pycache__']);
const NOT_SOURCES = /\.d\.[cm]?ts$|\.min\.js$/;
const CONFIG_NAME = /(redis|valkey).*\.conf$/i;

/** Throws CutoverError (usage) for a path that is not there, and for a file that is nothing that lint reads. */
export async function readSources(paths: string[], options: { replica?: boolean } = {}): Promise<Sources> {
  const sources: Sources = { scripts: [], commands: [], clients: [], configurations: [], notes: [] };
  const luaFiles: string[] = [];
  for (const path of paths) {
    for (const { file, named } of filesIn(path)) {
      const extension = extname(file).toLowerCase();
      const language = LANGUAGES[extension];
      if (extension === '.lua') luaFiles.push(file);
      else if (language && !NOT_SOURCES.test(file)) {
        if (!named && statSync(file).size > MAX_SOURCE_BYTES) {
          sources.notes.push(
            `${file}: larger than ${MAX_SOURCE_BYTES >> 20} MiB, taken for a bundle and left out; name it to have it read.`,
          );
          continue;
        }
        const source = readClient(file, language, readFileSync(file, 'latin1'));
        sources.clients.push(source);
        sources.scripts.push(...scriptsIn(source));
      } else if (CONFIG_NAME.test(basename(file)) || (named && extension === '.conf')) {
        sources.configurations.push(readConfig(file, readFileSync(file, 'latin1')));
      } else if (named) {
        const { units, commands, notes } = await readCapture(file, options);
        sources.scripts.push(...units);
        sources.commands.push(...commands);
        sources.notes.push(...notes);
      }
    }
  }
  readLua(luaFiles, sources);
  return sources;
}

/** A file that another one includes is read as part of that one: alone it lacks the names that it uses. */
function readLua(files: string[], sources: Sources): void {
  const read = files.map((file) => ({ file, ...readLuaFile(file) }));
  const included = new Set(read.flatMap(({ includes }) => includes));
  const units = read.flatMap(({ file, unit }) => (included.has(resolve(file)) ? [] : [unit]));
  introduceNeighbours(units);
  sources.scripts.push(...units);
}

/** Some packages keep a script in parts that only make sense together: each may use what another one of its folder declares. */
function introduceNeighbours(units: ScriptUnit[]): void {
  for (const group of Map.groupBy(units, ({ name }) => dirname(name)).values()) {
    const declared = localsIn(group.map(({ text }) => text));
    for (const [i, unit] of group.entries()) unit.declaredNearby = (name) => declared(name, i);
  }
}

function filesIn(path: string): { file: string; named: boolean }[] {
  if (path === '-') return [{ file: path, named: true }];
  let folder: boolean;
  try {
    folder = statSync(path).isDirectory();
    if (!folder) closeSync(openSync(path, 'r'));
  } catch (error) {
    throw new CutoverError(
      'usage',
      'E_LINT_PATH',
      `Cannot read ${path}: ${messageOf(error)}.`,
      'Name .lua files, client sources, redis.conf, captures, or folders that hold them.',
    );
  }
  if (!folder) return [{ file: path, named: true }];
  return readdirSync(path, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const file = join(path, entry.name);
      if (entry.isDirectory())
        return SKIPPED_FOLDERS.has(entry.name) || entry.name.startsWith('.')
          ? []
          : filesIn(file).map((found) => ({ ...found, named: false }));
      return entry.isFile() ? [{ file, named: false }] : [];
    });
}
