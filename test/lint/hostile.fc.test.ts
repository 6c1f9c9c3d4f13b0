/** Whatever a file holds, reading it ends: with scripts, findings or problems, never with a crash. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { lint, selectRules } from '../../src/lint/engine.ts';
import { parseProfile } from '../../src/lint/profile.ts';
import { RULES } from '../../src/lint/rules/index.ts';
import { LANGUAGES, readClient, scriptsIn } from '../../src/lint/sources/client.ts';
import { readConfig } from '../../src/lint/sources/config.ts';
import { placesIn } from '../../src/lint/sources/unit.ts';

const profile = parseProfile('--from redis@6.2 --to valkey@9.1 --rollback --cluster');
const rules = selectRules(RULES, { hygiene: true, named: [] });
const examples = RULES.flatMap(({ examples: { bad, good } }) => [...bad, ...good]);
const luas = examples.flatMap((example) => ('lua' in example ? [example.lua] : []));

function lintText(text: string) {
  const unit = { name: 'x.lua', text, holes: [], fragment: false, place: placesIn('x.lua', text) };
  return lint({ scripts: [unit], commands: [], clients: [], configurations: [], notes: [] }, { profile, rules });
}

/** Scripts that almost parse: examples with pieces taken out, doubled or swapped in from others. */
const mutated = fc
  .tuple(fc.constantFrom(...luas), fc.constantFrom(...luas), fc.nat(), fc.nat(), fc.nat())
  .map(([a, b, from, to, at]) => {
    const piece = b.slice(from % b.length, (from % b.length) + (to % 40));
    return a.slice(0, at % a.length) + piece + a.slice((at % a.length) + (to % 7));
  });

test('any script: findings stand inside it', () => {
  fc.assert(
    fc.property(mutated, (text) => {
      const { findings } = lintText(text);
      const lines = text.split('\n');
      for (const { line, column, length } of findings) {
        const own = lines[line - 1];
        assert.ok(own !== undefined && column >= 1 && length >= 1 && column <= own.length + 1);
      }
    }),
    { numRuns: 400 },
  );
});

test('the order of rules and what else runs do not change what a rule says', () => {
  fc.assert(
    fc.property(mutated, fc.constantFrom(...rules), (text, rule) => {
      const unit = { name: 'x.lua', text, holes: [], fragment: false, place: placesIn('x.lua', text) };
      const alone = lint(
        { scripts: [unit], commands: [], clients: [], configurations: [], notes: [] },
        { profile, rules: [rule] },
      );
      const places = (findings: { code: string; line: number; column: number }[]) =>
        findings.filter(({ code }) => code === rule.code).map(({ line, column }) => `${line}:${column}`);
      assert.deepEqual(places(alone.findings), places(lintText(text).findings));
    }),
    { numRuns: 200 },
  );
});

const source = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 200 }).map((text) => Buffer.from(text).toString('latin1')),
  fc
    .array(
      fc.constantFrom(
        '"',
        "'",
        '`',
        '"""',
        '${',
        '}',
        '#{',
        '<<~A',
        '\nA\n',
        '<<<X\n',
        '\\',
        '//',
        '/*',
        '*/',
        '#',
        '\n',
        ' + ',
        ' . ',
        'a',
        '/',
        'f"',
        "return redis.call('",
      ),
      { maxLength: 40 },
    )
    .map((parts) => parts.join('')),
);

test('any source of any language: strings lie in it, in order, and every character has its place', () => {
  fc.assert(
    fc.property(source, fc.constantFrom(...new Set(Object.values(LANGUAGES))), (text, language) => {
      const client = readClient('f', language, text);
      assert.equal(client.code.length, text.length);
      for (const { value, start, end, origin } of client.strings) {
        assert.ok(start >= 0 && end <= text.length && start <= end);
        for (let i = 0; i < value.length; i++) assert.ok(origin(i) >= start && origin(i) <= end);
      }
      for (const { text: script, place } of scriptsIn(client)) place(script.length);
    }),
    { numRuns: 1000 },
  );
});

test('any configuration', () => {
  fc.assert(
    fc.property(source, (text) => {
      for (const { offset, name } of readConfig('f', text).directives) {
        assert.equal(text.slice(offset, offset + name.length).toLowerCase(), name);
      }
    }),
  );
});
