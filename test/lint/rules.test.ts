/** Every rule: its bad examples are flagged at their place, its good ones are not; the catalogue is consistent. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseProfile } from '../../src/lint/profile.ts';
import { SEVERITIES } from '../../src/lint/rule.ts';
import { RULES } from '../../src/lint/rules/index.ts';
import { lintExample, placeOf } from './example.ts';

/** `RULE=D11 node --test test/lint/rules.test.ts` runs one rule. */
const chosen = RULES.filter(({ code, name }) => [undefined, '', code, name].includes(process.env.RULE));

for (const rule of chosen) {
  describe(`${rule.code} ${rule.name}`, () => {
    for (const [i, example] of rule.examples.bad.entries()) {
      test(`bad example ${i + 1}`, async () => {
        const { findings, parseErrors } = await lintExample(rule, example);
        assert.deepEqual(parseErrors, []);
        assert.equal(
          findings.length,
          1,
          JSON.stringify(findings.map(({ line, column, message }) => ({ line, column, message }))),
        );
        const [{ line, column, severity }] = findings as [(typeof findings)[0]];
        assert.deepEqual({ line, column }, placeOf(example));
        assert.equal(severity, example.severity ?? rule.severity(parseProfile(example.profile)));
        assert.ok(SEVERITIES.indexOf(severity) >= SEVERITIES.indexOf(rule.worst), `worse than "worst: ${rule.worst}"`);
      });
    }
    for (const [i, example] of rule.examples.good.entries()) {
      test(`good example ${i + 1}`, async () => {
        const { findings, parseErrors } = await lintExample(rule, example);
        assert.deepEqual(parseErrors, []);
        assert.deepEqual(
          findings.map(({ message }) => message),
          [],
        );
        assert.ok(rule.range.applies(parseProfile(example.profile)), 'a rule that does not run proves nothing');
      });
    }
  });
}

test('codes and names are unique, in order, and well-formed', () => {
  const codes = RULES.map(({ code }) => code);
  assert.deepEqual(codes, [...codes].sort());
  assert.equal(new Set(codes).size, codes.length);
  assert.equal(new Set(RULES.map(({ name }) => name)).size, RULES.length);
  for (const { code, name } of RULES) {
    assert.match(code, /^[DH]\d\d$/);
    assert.match(name, /^[a-z]+(-[a-z0-9]+)+$/);
  }
});

test('a drift rule that can say error is proved on servers, or says why it cannot be', () => {
  for (const rule of RULES) {
    if (rule.worst !== 'error' || !rule.code.startsWith('D')) continue;
    const proved = rule.examples.bad.some(({ proof }) => proof !== undefined);
    assert.ok(proved || ('unprovable' in rule && rule.unprovable), rule.code);
  }
});
