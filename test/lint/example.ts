/** An example of a rule → what lint says of it, through the same files that a user has. */
import { type LintResult, lint } from '../../src/lint/engine.ts';
import { parseProfile } from '../../src/lint/profile.ts';
import type { BadExample, Example, Rule } from '../../src/lint/rule.ts';
import { readSources } from '../../src/lint/sources/read.ts';
import { temporaryFile } from '../support/capture.ts';

const EXTENSIONS = { javascript: 'js', python: 'py', ruby: 'rb', go: 'go', java: 'java', php: 'php' };

/** The text that the example shows, and the file that holds it. */
function fileOf(example: Example): { path: string; text: string } {
  if ('lua' in example) return { path: temporaryFile(example.file ?? 'script.lua', example.lua), text: example.lua };
  if ('config' in example) return { path: temporaryFile('redis.conf', example.config), text: example.config };
  if ('client' in example) {
    return { path: temporaryFile(`client.${EXTENSIONS[example.language]}`, example.client), text: example.client };
  }
  const lines = example.commands.split('\n').map((line, i) => {
    const words = line.split(' ').map((word) => JSON.stringify(word));
    return `1700000000.${String(i).padStart(6, '0')} [0 127.0.0.1:50000] ${words.join(' ')}\n`;
  });
  return { path: temporaryFile('capture.monitor', lines.join('')), text: example.commands };
}

export async function lintExample(rule: Rule, example: Example): Promise<LintResult> {
  const { path } = fileOf(example);
  return lint(await readSources([path]), { profile: parseProfile(example.profile), rules: [rule] });
}

/** Where a finding must stand; commands count by their line. */
export function placeOf(example: BadExample): { line: number; column: number } {
  const { text } = fileOf(example);
  const bar = example.at.indexOf('|');
  const before = bar < 0 ? '' : example.at.slice(0, bar);
  const from = text.indexOf(before);
  const offset = text.indexOf(example.at.slice(bar + 1), from + before.length);
  if (from < 0 || offset < 0) throw new Error(`the example does not have ${JSON.stringify(example.at)}`);
  const lines = text.slice(0, offset).split('\n');
  return { line: lines.length, column: lines.at(-1)!.length + 1 };
}
