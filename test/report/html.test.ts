/** The HTML report in a real browser: it runs, asks for nothing, fits every screen, can be read by all, and holds hostile data. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Browser, chromium, type Page } from 'playwright-core';
import { parseBudget } from '../../src/compare/budget.ts';
import { judge } from '../../src/compare/judge.ts';
import type { Rehearsal } from '../../src/measure/rehearsal.ts';
import { printable } from '../../src/printable.ts';
import type { Plot } from '../../src/report/html/plot.ts';
import { reportHtml } from '../../src/report/html.ts';
import type { ReportSource } from '../../src/report/source.ts';
import { ATTACKS } from '../support/attacks.ts';
import { type Behaviour, rehearse } from '../support/rehearsal.ts';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const MAX_BYTES = 1_000_000;
const SPIKE_US = 345_678;

const folder = mkdtempSync(join(tmpdir(), 'cutover-html-'));
let browser: Browser;
before(async () => {
  const executablePath = ['chromium', 'chromium-browser', 'google-chrome']
    .flatMap((name) => process.env.PATH!.split(delimiter).map((path) => join(path, name)))
    .find((path) => existsSync(path));
  assert.ok(executablePath, 'Chromium is needed: node bin/setup.js --for-tests installs it');
  browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
});
after(async () => {
  await browser.close();
  rmSync(folder, { recursive: true });
});

function judged(
  behave: Behaviour,
  { budget = 'apiVersion: cutover/budget@1\n', ...options }: { budget?: string } & Parameters<typeof rehearse>[1] = {},
): ReportSource {
  const synthetic = rehearse(
    (round, arm) => ({ families: ['session:{id}', 'feed:{id}'], ...behave(round, arm) }),
    options,
  );
  const { rehearsal, latencyOf } = synthetic;
  return { ...synthetic, judgement: judge(rehearsal, latencyOf, parseBudget(budget, 'budget.yaml'), 'rehearsals/x') };
}

const stall = { startUs: 500_000, durationUs: 300_000, waitUs: 300_000, lagUs: 100 };

const REPORTS: Record<string, ReportSource> = {
  pass: judged((round, arm) => (arm === 'candidate' ? { serviceUs: 410 + round, spikeUs: SPIKE_US } : {})),
  fail: judged((round, arm) =>
    arm === 'candidate'
      ? { tail: 17 + round, spikeUs: SPIKE_US, errors: { 'session:{id} getex': { ERR: 31 } } }
      : { errors: { 'feed:{id} lpush': { WRONGTYPE: 4 } } },
  ),
  inconclusive: judged(
    (round, arm) => ({ ops: 4600, ...(arm === 'candidate' ? { tail: [2, 9, 4, 12, 5][round]!, spikeUs: SPIKE_US } : {}) }),
    { overrides: { configDifferences: [{ name: 'io-threads', baseline: '1', candidate: '4' }] } },
  ),
  invalid: judged((round, arm) => ({ achieved: round >= 3 ? 0.93 : 1, ...(arm === 'candidate' ? { spikeUs: SPIKE_US } : {}) })),
};
for (const { arms } of REPORTS.fail!.rehearsal.rounds) for (const slice of arms.candidate.slices) slice.stalls = [stall];

/** Opens a report; `nothing()` asserts that until now it ran nothing of others, said nothing and asked for nothing. */
async function open(source: ReportSource, options: Parameters<Browser['newPage']>[0] = {}) {
  const text = reportHtml(source);
  assert.ok(Buffer.byteLength(text) < MAX_BYTES, `${Buffer.byteLength(text)} bytes`);
  const file = join(folder, 'report.html');
  writeFileSync(file, text);
  const page = await browser.newPage(options);
  const events: string[] = [];
  page.on('console', (message) => events.push(`console ${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => events.push(`error: ${error.message}`));
  page.on('dialog', (dialog) => events.push(`dialog: ${dialog.message()}`));
  page.on('request', (request) => {
    if (request.url() !== `file://${file}`) events.push(`request: ${request.url()}`);
  });
  await page.goto(`file://${file}`);
  return { page, text, nothing: () => assert.deepEqual(events, []) };
}

const plotsOf = (page: Page) =>
  page.evaluate<Record<string, Plot>>(`JSON.parse(document.getElementById('plots').textContent)`);

/** How many of a canvas' pixels have ink: an empty chart has axes only. */
const inked = (page: Page, id: string) =>
  page.evaluate<number>(`(() => {
    const canvas = document.querySelector('#${id} canvas');
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    const probe = document.createElement('span');
    let colourful = 0;
    for (let i = 0; i < data.length; i += 4)
      if (data[i + 3] > 0 && Math.max(data[i], data[i + 1], data[i + 2]) - Math.min(data[i], data[i + 1], data[i + 2]) > 60) colourful++;
    return colourful;
  })()`);

const violations = (page: Page) =>
  page.evaluate<string[]>(`axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'best-practice'] }).then(({ violations }) =>
    violations.map(({ id, nodes }) => id + ': ' + nodes.slice(0, 3).map(({ html }) => html.slice(0, 120)).join(' | ')))`);

for (const [verdict, source] of Object.entries(REPORTS)) {
  test(`a rehearsal that is ${verdict}: whole, quiet, and fits every screen`, async () => {
    assert.equal(source.judgement.verdict, verdict);
    const { page, nothing } = await open(source);
    for (const width of [360, 768, 1440]) {
      await page.setViewportSize({ width, height: 900 });
      assert.equal(await page.evaluate('document.documentElement.scrollWidth'), width);
    }
    const verdictText = await page.locator('#verdict').innerText();
    assert.ok(verdictText.includes(verdict.toUpperCase()));
    assert.ok((await page.locator('.rules svg.interval').count()) >= 4);
    const plots = await plotsOf(page);
    // The longest response is drawn, whatever was left out for size.
    const longest = plots['time-longest']!.series.filter(({ group }) => group === 'candidate').map(({ y }) => Math.max(...y.map(Number)));
    assert.deepEqual(new Set(longest), new Set([SPIKE_US]));
    if (verdict !== 'invalid') {
      const [first] = plots.spectrum!.series;
      assert.equal(first!.y[0], source.latencyOf(0, 'baseline', 0)[0]!.response.min);
      for (const id of ['spectrum', 'parts-candidate']) assert.ok((await inked(page, id)) > 500, id);
    }
    for (const id of ['time-p99', 'time-longest', 'time-throughput']) assert.ok((await inked(page, id)) > 500, id);
    nothing();
    await page.close();
  });
}

for (const colorScheme of ['light', 'dark'] as const) {
  test(`${colorScheme}: no violation that axe finds, contrast included`, async () => {
    const { page, nothing } = await open(REPORTS.fail!, { bypassCSP: true, colorScheme });
    await page.evaluate(`for (const folded of document.querySelectorAll('details')) folded.open = true`);
    const background = await page.evaluate<string>(`getComputedStyle(document.body).backgroundColor`);
    assert.equal(background === 'rgb(255, 255, 255)', colorScheme === 'light');
    await page.evaluate(AXE);
    assert.deepEqual(await violations(page), []);
    nothing();
    await page.close();
  });
}
