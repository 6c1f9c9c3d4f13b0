/** Whatever names, errors and messages hold, each text format parses back to them as data. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Ajv } from 'ajv';
import addFormats from 'ajv-formats';
import { HistogramLogReader } from 'hdr-histogram-js';
import { parseBudget } from '../../src/compare/budget.ts';
import { judge } from '../../src/compare/judge.ts';
import { shorten } from '../../src/compare/wording.ts';
import type { Finding, LintResult } from '../../src/lint/engine.ts';
import { parseServer } from '../../src/lint/profile.ts';
import { reportGithub as reportLintGithub } from '../../src/lint/report/github.ts';
import { reportSarif } from '../../src/lint/report/sarif.ts';
import { reportTerminal as reportLintTerminal } from '../../src/lint/report/terminal.ts';
import { RULES } from '../../src/lint/rules/index.ts';
import { printable } from '../../src/printable.ts';
import { FORMATS } from '../../src/report/index.ts';
import type { ReportSource } from '../../src/report/source.ts';
import { ATTACKS } from '../support/attacks.ts';
import { launchChromium } from '../support/chromium.ts';
import { root } from '../support/cli.ts';
import { rehearse } from '../support/rehearsal.ts';

/** A rehearsal in which everything that comes from outside is the attack. */
function attacked(attack: string): ReportSource {
  const synthetic = rehearse(
    (_, arm) => ({
      ops: 400,
      families: [attack],
      ...(arm === 'candidate' ? { errors: { [`${attack} get`]: { [attack]: 50 } } } : {}),
    }),
    {
      overrides: {
        command: `cutover run '${attack}'`,
        seed: attack,
        caveats: [{ id: attack, message: attack, advice: attack }],
        findings: [{ code: attack, rule: attack, severity: 'error', message: attack, fix: attack, calls: 1 }],
        stopped: { reason: 'interrupted', message: attack },
        configDifferences: [{ name: 'maxmemory', baseline: attack, candidate: '' }],
      },
    },
  );
  const identity = { ...synthetic.rehearsal.arms.candidate, version: attack, spec: attack, allocator: attack };
  synthetic.rehearsal.arms.candidate = identity;
  const budget = parseBudget(
    `apiVersion: cutover/budget@1\nobjectives: [{family: ${JSON.stringify(attack)}}]\n`,
    'budget.yaml',
  );
  const judgement = judge(synthetic.rehearsal, synthetic.latencyOf, budget, `rehearsals/${attack}`);
  return { ...synthetic, judgement };
}

const SOURCES = Object.entries(ATTACKS).map(([name, attack]) => ({ name, attack, source: attacked(attack) }));

/** What no terminal, log or runner may get to see. */
function assertHarmless(text: string) {
  assert.doesNotMatch(text, /[^\P{C}\n]|[\p{Zl}\p{Zp}]/u);
  assert.ok(!text.includes('##['), 'the runner obeys it anywhere');
}

for (const [format, report] of Object.entries(FORMATS)) {
  test(`${format}: nothing hostile comes out raw`, () => {
    for (const { source } of SOURCES) assertHarmless(report(source));
  });
}

test('terminal: words from outside begin no command of the runner, and keep to the width', () => {
  for (const { attack, source } of SOURCES) {
    for (const line of FORMATS.terminal(source).split('\n')) {
      assert.doesNotMatch(line, /^\s*::/);
      assert.ok(line.length <= 80 || /^(repeat|folder) {2}/.test(line), line.slice(0, 200));
    }
    assert.ok(FORMATS.terminal(source).includes(`repeat  cutover run '${printable(attack)}'`));
  }
});

test('json: the same data', () => {
  for (const { source } of SOURCES) assert.deepEqual(JSON.parse(FORMATS.json(source)), source.judgement);
});

test('markdown: no character of a name is structure', () => {
  for (const { name, source } of SOURCES) {
    const text = FORMATS.markdown(source);
    const fence = /^(`{3,})sh\n(.*)\n\1$/m.exec(text)!;
    assert.equal(fence[2], printable(source.judgement.command), name);
    assert.ok(!fence[2]!.includes(fence[1]!), 'the fence is longer than any inside');
    const prose = text.replace(fence[0], '');
    assert.doesNotMatch(prose, /<|`|\\|@|~|\$|(?<!\n)(?<!#)#(?!#|\d+;| )|https?:\/\/|www\.(?!&#8288;)/, name);
    assert.doesNotMatch(prose, /\[|\]/, name);
    const columns = { P99: 8, error: 5 };
    for (const line of prose.split('\n')) {
      const expected = /^\| (P99|error)\b/.exec(line)?.[1] as keyof typeof columns | undefined;
      if (expected) assert.equal(line.match(/\|/g)!.length, columns[expected], line.slice(0, 300));
    }
    assert.equal(prose.match(/^#{1,6} /gm)!.length, 1 + (prose.match(/^### /gm)?.length ?? 0), 'headings are ours');
  }
});

/** Runs in the browser, whose types this project does not have. */
const READ_JUNIT = `(xml) => {
  const document = new DOMParser().parseFromString(xml, 'application/xml');
  return {
    declared: document.querySelector('testsuite')?.getAttribute('tests'),
    names: [...document.querySelectorAll('testcase')].map((element) => element.getAttribute('name')),
    kinds: [...new Set([...document.querySelectorAll('*')].map((element) => element.tagName))],
    texts: document.querySelector('testsuite > system-out')?.textContent,
  };
}`;

test('junit: an XML parser finds an element per rule, named as the rule is', async (t) => {
  const browser = await launchChromium();
  t.after(() => browser.close());
  const page = await browser.newPage();
  for (const { name, source } of SOURCES) {
    const { declared, names, kinds, texts } = (await page.evaluate(
      `(${READ_JUNIT})(${JSON.stringify(FORMATS.junit(source))})`,
    )) as { declared: string; names: string[]; kinds: string[]; texts: string };
    assert.deepEqual(
      names.filter((id) => id !== 'rehearsal'),
      source.judgement.rules.map(({ id }) => printable(id)),
      name,
    );
    assert.equal(names.length, Number(declared));
    const known = ['testsuites', 'testsuite', 'testcase', 'system-out', 'skipped', 'failure', 'error'];
    assert.deepEqual(
      kinds.filter((kind) => !known.includes(kind)),
      [],
      'no element but ours',
    );
    for (const { advice } of source.judgement.caveats) assert.ok(texts.includes(printable(advice)), name);
  }
});

/** GitHub's runner (actions/runner, ActionCommand.TryParseV2): the command of a line, or nothing. */
function parseCommand(line: string): { kind: string; title: string; message: string } {
  const [, kind, properties, message] = /^::(notice|warning|error) ([^:]*)::(.*)$/.exec(line)!;
  const decode = (text: string) =>
    text
      .replaceAll('%0D', '\r')
      .replaceAll('%0A', '\n')
      .replaceAll('%3A', ':')
      .replaceAll('%2C', ',')
      .replaceAll('%25', '%');
  const [title, ...more] = properties!.split(',').map((property) => property.slice('title='.length));
  assert.deepEqual(more, []);
  return { kind: kind!, title: decode(title!), message: decode(message!) };
}

test('github: one command a line, and all of them ours', () => {
  for (const { attack, source } of SOURCES) {
    const commands = FORMATS.github(source).trimEnd().split('\n').map(parseCommand);
    assert.equal(commands[0]!.title, `cutover: ${source.judgement.verdict}`);
    for (const { title } of commands.slice(1)) {
      assert.match(title, /^(fail|inconclusive): /);
      if (title.includes('/')) assert.ok(title.endsWith(`/${printable(attack)}`));
    }
  }
});

/** RFC 4180, with line feeds. */
function parseCsv(text: string): string[][] {
  const rows: string[][] = [[]];
  let at = 0;
  while (at < text.length) {
    const [cell, plain] = /^(?:"(?:[^"]|"")*"|([^",\n]*))/.exec(text.slice(at, at + 100_000))!;
    rows.at(-1)!.push(plain ?? cell.slice(1, -1).replaceAll('""', '"'));
    at += cell.length;
    const separator = text[at++];
    assert.ok(separator === ',' || separator === '\n', `at ${at}: ${separator}`);
    if (separator === '\n' && at < text.length) rows.push([]);
  }
  return rows;
}

test('csv: as many cells in each row, the family in its own, and no formula', () => {
  for (const { name, attack, source } of SOURCES) {
    const [title, ...rows] = parseCsv(FORMATS.csv(source));
    for (const row of rows) {
      assert.equal(row.length, title!.length);
      for (const cell of row) assert.doesNotMatch(cell, /^[=+\-@\t\r]/);
    }
    const family = rows.at(-1)![title!.indexOf('family')]!;
    assert.equal(family.replace(/^'/, ''), printable(attack), name);
  }
});

test('openmetrics: every line is a sample or a comment, labels are the names', () => {
  const label = /([a-z_]+)="((?:[^"\\\n]|\\[\\"n])*)"/g;
  const sample = /^[a-z_]+(\{[a-z_]+="(?:[^"\\\n]|\\[\\"n])*"(,[a-z_]+="(?:[^"\\\n]|\\[\\"n])*")*\})? -?[\d.e+-]+$/;
  for (const { name, attack, source } of SOURCES) {
    const lines = FORMATS.openmetrics(source).split('\n');
    assert.deepEqual(lines.splice(-2), ['# EOF', '']);
    const seeds: string[] = [];
    for (const line of lines) {
      if (/^# (TYPE [a-z_]+ gauge|HELP [a-z_]+ [^\\]+)$/.test(line)) continue;
      assert.match(line, sample, name);
      for (const [, key, value] of line.matchAll(label))
        if (key === 'seed') seeds.push(value!.replaceAll('\\"', '"').replaceAll('\\\\', '\\'));
    }
    assert.deepEqual(seeds, [printable(attack)]);
  }
});

test('hdr: another reader of the format finds every request', () => {
  const { source } = SOURCES[0]!;
  const reader = new HistogramLogReader(FORMATS.hdr(source));
  const counts: Record<string, number> = {};
  for (let next = reader.nextIntervalHistogram(); next; next = reader.nextIntervalHistogram()) {
    counts[next.tag] = next.totalCount;
  }
  const { baseline, candidate } = source.judgement.latency;
  assert.deepEqual(counts, {
    ...{ 'baseline:response': baseline.response.samples, 'candidate:response': candidate.response.samples },
    ...{ 'baseline:service': baseline.service.samples, 'candidate:service': candidate.service.samples },
    ...{ 'baseline:lag': baseline.lag.samples, 'candidate:lag': candidate.lag.samples },
  });
});

interface SarifResult {
  message: { text: string };
  locations: { physicalLocation: { artifactLocation: { uri: string } } }[];
}

/** Lint holds text as latin1 of its bytes. */
const bytesOf = (text: string) => Buffer.from(text.toWellFormed()).toString('latin1');

function lintOf(attack: string): LintResult {
  const text = bytesOf(attack);
  const finding: Finding = {
    ...{ rule: 'command-absent', code: 'D01', severity: 'error', category: 'breaks', file: attack.toWellFormed() },
    ...{ line: 1, column: 1, length: 1, message: text, fix: 'Something else.', range: text, source: text, unit: text },
    ...{ fingerprint: 'abc', calls: 3, copies: [attack] },
  };
  return {
    profile: { from: parseServer('redis@7.2'), to: parseServer('valkey@8.1'), rollback: false, cluster: false },
    ...{ findings: [finding], scripts: 1, known: 0, notes: [attack] },
    parseErrors: [{ file: attack.toWellFormed(), line: 1, column: 1, message: text }],
    suppressed: [{ finding, reason: text }],
  };
}

test('SARIF: valid by its schema, with messages and places as data', () => {
  const schema = JSON.parse(readFileSync(join(root, 'test/lint/sarif-2.1.0.schema.json'), 'utf8'));
  const ajv = new Ajv({ strict: false, unicodeRegExp: false });
  (addFormats as unknown as (ajv: Ajv) => void)(ajv);
  const valid = ajv.compile(schema);
  for (const [name, attack] of Object.entries(ATTACKS)) {
    const text = reportSarif(lintOf(attack), RULES);
    const sarif = JSON.parse(text);
    assert.ok(valid(sarif), `${name}: ${ajv.errorsText(valid.errors)}`);
    assertHarmless(text);
    const [result] = (sarif as { runs: { results: SarifResult[] }[] }).runs[0]!.results;
    assert.equal(result!.message.text, printable(`${attack.toWellFormed()}. Something else.`), name);
    const { uri } = result!.locations[0]!.physicalLocation.artifactLocation;
    assert.equal(decodeURIComponent(uri), attack.toWellFormed(), name);
  }
});

test('lint in a terminal and as annotations: the same', () => {
  for (const attack of Object.values(ATTACKS)) {
    const result = lintOf(attack);
    assertHarmless(reportLintTerminal(result));
    const lines = reportLintGithub(result).trimEnd().split('\n');
    assert.equal(lines.length, 2);
    for (const line of lines) assert.match(line, /^::(error|notice) file=[^:,]*,line=1,col=1,title=[^:,]*::/);
  }
});

test('shortened names are still whole characters', () => {
  assert.equal(shorten('👩👩👩👩', 3), '👩👩…');
});
