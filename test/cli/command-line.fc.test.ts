/** The command line that repeats a run, and its words again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { commandLine, commandWords } from '../../src/cli/command-line.ts';

test('words come back as they were, whatever is in them', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ minLength: 1 }), { maxLength: 4 }), fc.string({ minLength: 1 }), (args, value) => {
      const words = commandWords(commandLine('run', args, { seed: value, left: undefined, out: false, json: true }));
      assert.deepEqual(words, ['cutover', 'run', ...args, '--seed', value, '--json']);
    }),
    { examples: [[["it's", "'", '\\'], "a 'b' \n\\'c"]] },
  );
});
