/** The HTML report in a real browser: it runs, asks for nothing, fits every screen, can be read by all, and holds hostile data. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import axe from 'axe-core';
import type { Browser, Page } from 'playwright-core';
import { parseBudget } from '../../src/compare/budget.ts';
import { judge } from '../../src/compare/judge.ts';
import type { Rehearsal } from '../../src/measure/rehearsal.ts';
import { printable } from '../../src/printable.ts';
import { historyOf } from '../../src/report/history/history.ts';
import { historyHtml } from '../../src/report/history/html.ts';
import type { Plot } from '../../src/report/html/plot.ts';
import { reportHtml } from '../../src/report/html.ts';
import type { ReportSource } from '../../src/report/source.ts';
import { ATTACKS } from '../support/attacks.ts';
import { launchChromium } from '../support/chromium.ts';
import { type Behaviour, rehearse } from '../support/rehearsal.ts';
import { modelOf } from '../support/workload.ts';

const MAX_BYTES = 1_000_000;
const SPIKE_US = 345_678;

const folder = mkdtempSync(join(tmpdir(), 'cutover-html-'));
let browser: Browser;
before(async () => {
  browser = await launchChromium();
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
    (round, arm) => ({
      ops: 4600,
      ...(arm === 'candidate' ? { tail: [2, 9, 4, 12, 5][round]!, spikeUs: SPIKE_US } : {}),
    }),
    { overrides: { configDifferences: [{ name: 'io-threads', baseline: '1', candidate: '4' }] } },
  ),
  invalid: judged((round, arm) => ({
    achieved: round >= 3 ? 0.93 : 1,
    ...(arm === 'candidate' ? { spikeUs: SPIKE_US } : {}),
  })),
};
for (const { arms } of REPORTS.fail!.rehearsal.rounds)
  for (const slice of arms.candidate.slices) slice.stalls = [stall];

/** Opens a report; `nothing()` asserts that until now it ran nothing of others, said nothing and asked for nothing. */
async function open(source: ReportSource | string, options: Parameters<Browser['newPage']>[0] = {}) {
  const text = typeof source === 'string' ? source : reportHtml(source);
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
    const chart = document.querySelector('#${id} canvas');
    const canvas = new OffscreenCanvas(chart.width, chart.height).getContext('2d', { willReadFrequently: true });
    canvas.drawImage(chart, 0, 0);
    const { data } = canvas.getImageData(0, 0, chart.width, chart.height);
    let colourful = 0;
    for (let i = 0; i < data.length; i += 4)
      if (data[i + 3] > 0 && Math.max(data[i], data[i + 1], data[i + 2]) - Math.min(data[i], data[i + 1], data[i + 2]) > 60) colourful++;
    return colourful;
  })()`);

const textOf = async (page: Page, selector: string) => (await page.locator(selector).textContent())!;

const violations = (page: Page) =>
  page.evaluate<
    string[]
  >(`axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'best-practice'] }).then(({ violations }) =>
    violations.map(({ id, nodes }) => id + ': ' + nodes.slice(0, 3).map(({ html }) => html.slice(0, 120)).join(' | ')))`);

for (const [verdict, source] of Object.entries(REPORTS)) {
  test(`a rehearsal that is ${verdict}: whole, quiet, and fits every screen`, async () => {
    assert.equal(source.judgement.verdict, verdict);
    const { page, nothing } = await open(source);
    for (const width of [360, 768, 1440]) {
      await page.setViewportSize({ width, height: 900 });
      assert.equal(await page.evaluate('document.documentElement.scrollWidth'), width);
    }
    assert.ok((await textOf(page, '#verdict')).includes(verdict.toUpperCase()));
    assert.ok((await page.locator('.rules svg.interval').count()) >= 4);
    const plots = await plotsOf(page);
    // The longest response is drawn, whatever was left out for size.
    const longest = plots['time-longest']!.series.filter(({ group }) => group === 'candidate').map(({ y }) =>
      Math.max(...y.map(Number)),
    );
    assert.deepEqual(new Set(longest), new Set([SPIKE_US]));
    if (verdict !== 'invalid') {
      const drawn = plots.spectrum!.series.flatMap(({ group, y }) =>
        group === 'candidate' ? y.flatMap((us) => us ?? []) : [],
      );
      const measured = [0, 1, 2, 3, 4].flatMap((round) =>
        [0, 1].flatMap((slice) => source.latencyOf(round, 'candidate', slice).map(({ response }) => response)),
      );
      assert.equal(Math.min(...drawn), Math.min(...measured.map(({ min }) => min)));
      assert.equal(Math.max(...drawn), Math.max(...measured.map(({ max }) => max)));
      for (const id of ['spectrum', 'parts-candidate']) assert.ok((await inked(page, id)) > 500, id);
    }
    // Half a core, from the second sample on.
    const cores = plots['server-cores']!.series.map(({ y }) => y.map((value) => value && Number(value.toFixed(6))));
    assert.deepEqual(new Set(cores.flatMap((y) => y.slice(1))), new Set([0.5]));
    for (const id of ['time-p99', 'time-longest', 'time-throughput', 'server-memory', 'server-cores'])
      assert.ok((await inked(page, id)) > 500, id);
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
    await page.evaluate(axe.source);
    assert.deepEqual(await violations(page), []);
    nothing();
    await page.close();
  });
}

test('several rehearsals in one page: quiet, fits, and readable by all', async () => {
  const sources = Object.values(REPORTS).map((source, i) => ({ ...source, path: `rehearsals/${i}`, budgetText: '' }));
  const { page, nothing } = await open(historyHtml(historyOf(sources)), { bypassCSP: true });
  for (const width of [360, 768, 1440]) {
    await page.setViewportSize({ width, height: 900 });
    assert.equal(await page.evaluate('document.documentElement.scrollWidth'), width);
  }
  for (const id of ['trend-response', 'spectrum-candidates']) assert.ok((await inked(page, id)) > 500, id);
  await page.evaluate(axe.source);
  assert.deepEqual(await violations(page), []);
  nothing();
  await page.close();
});

test('everything can be reached and used by keyboard', async () => {
  const { page, nothing } = await open(REPORTS.fail!);
  const focused = () =>
    page.evaluate<string>(`(() => {
      const { id, dataset, tagName, className, href, parentElement } = document.activeElement;
      return [tagName.toLowerCase(), className, dataset.group, id, (href ?? '').replace(/.*#/, '#')].filter(Boolean).join(' ');
    })()`);
  const seen = new Set<string>();
  let charts = 0;
  await page.keyboard.press('Tab');
  assert.equal(await focused(), 'a skip #verdict');
  for (let i = 0; i < 200; i++) {
    await page.keyboard.press('Tab');
    const at = await focused();
    if (at === 'body') break;
    seen.add(at);
    if (at === 'div chart') charts++;
  }
  for (const place of ['a #environment', 'button baseline', 'button candidate', 'div scroll', 'summary', 'pre']) {
    assert.ok(seen.has(place), `${place} of ${[...seen].join(', ')}`);
  }
  assert.equal(charts, Object.keys(await plotsOf(page)).length - 2, 'all but those of folded families');

  const figure = page.locator('#time-longest');
  const readout = () => textOf(page, '#time-longest output');
  await figure.locator('.chart').focus();
  await page.keyboard.press('Home');
  const first = await readout();
  assert.match(first, /^at 0\.05 s: baseline .* candidate /);
  for (let i = 0; i < 15; i++) await page.keyboard.press('ArrowRight');
  assert.match(await readout(), /^at 1\.55 s: .*candidate .*346 ms/);
  await figure.locator('button[data-group=candidate]').focus();
  await page.keyboard.press('Enter');
  assert.equal(await figure.locator('button[data-group=candidate]').getAttribute('aria-pressed'), 'false');
  await figure.locator('.chart').focus();
  await page.keyboard.press('ArrowRight');
  assert.doesNotMatch(await readout(), /candidate/);
  const before = await inked(page, 'time-longest');
  await page.keyboard.press('+');
  assert.notEqual(await inked(page, 'time-longest'), before);
  await page.keyboard.press('Escape');
  assert.equal(await inked(page, 'time-longest'), before);
  nothing();
  await page.close();
});

test('every link leads somewhere, also into what is folded', async () => {
  const { page } = await open(REPORTS.pass!);
  const dead = await page.evaluate<string[]>(`[...document.querySelectorAll('a')]
    .map((link) => link.getAttribute('href')).filter((href) => !document.getElementById(href.slice(1)))`);
  assert.deepEqual(dead, []);
  const chart = page.locator('#family-spectrum-1 canvas');
  assert.equal(await chart.count(), 0);
  await page.locator('#drill-down a[href^="#family-"]').first().click();
  await chart.waitFor();
  assert.ok((await inked(page, 'family-spectrum-1')) > 500);
  await page.close();
});

test('without scripts and on paper: the same pictures, at rest', async () => {
  const { page, nothing } = await open(REPORTS.fail!, { javaScriptEnabled: false });
  assert.equal(await page.locator('figure canvas').count(), 0);
  assert.ok(await page.locator('#spectrum .static svg').isVisible());
  assert.ok(await page.locator('.rules svg.interval').first().isVisible());
  assert.match(
    (await page.locator('#time-longest .static .line.candidate').first().getAttribute('d'))!,
    /^M[\d.]+ [\d.]+L/,
  );
  nothing();
  await page.close();
  const { page: paper } = await open(REPORTS.fail!);
  await paper.emulateMedia({ media: 'print' });
  assert.ok(await paper.locator('#spectrum .static svg').isVisible());
  assert.ok(!(await paper.locator('#spectrum canvas').isVisible()));
  assert.ok(!(await paper.locator('nav').isVisible()));
  await paper.close();
});

for (const [name, sliceSeconds] of Object.entries({ 'less than a second': 0.2, 'ten minutes': 30 })) {
  test(`a run of ${name} gives a full page`, async () => {
    const source = judged(
      (_, arm) => ({ ops: sliceSeconds < 1 ? 60 : 12_000, ...(arm === 'candidate' ? { spikeUs: SPIKE_US } : {}) }),
      {
        sliceSeconds,
      },
    );
    const { page, nothing } = await open(source);
    const plots = await plotsOf(page);
    for (const [id, { x, series }] of Object.entries(plots)) {
      assert.ok(x.values.length >= 10 && x.values.length <= 600, `${id}: ${x.values.length}`);
      assert.ok(
        series.every(({ y }) => y.length === x.values.length),
        id,
      );
      if (!id.startsWith('family')) assert.ok((await inked(page, id)) > 200, id);
    }
    assert.equal(Math.max(...plots['time-longest']!.series.flatMap(({ y }) => y.map(Number))), SPIKE_US);
    for (const id of ['rules', 'caveats', 'shift', 'memory', 'errors', 'workload', 'lint', 'environment']) {
      assert.ok((await textOf(page, `#${id}`)).length > 30, id);
    }
    nothing();
    await page.close();
  });
}

test('a rehearsal without one complete round says so instead of drawing nothing', async () => {
  const source = judged(() => ({}), {
    rounds: 1,
    overrides: { stopped: { reason: 'interrupted', message: 'interrupted' } },
  });
  for (const arm of ['baseline', 'candidate'] as const) source.rehearsal.rounds[0]!.arms[arm].slices.pop();
  const { rehearsal, latencyOf, judgement } = source;
  const bare = {
    ...source,
    judgement: judge(rehearsal, latencyOf, parseBudget('apiVersion: cutover/budget@1\n', 'b'), 'x'),
  };
  assert.notDeepEqual(bare.judgement, judgement);
  const { page, nothing } = await open({ ...bare, timelineOf: () => undefined, samplesOf: () => undefined });
  assert.match(await textOf(page, '#latency'), /nothing to draw/);
  assert.match(await textOf(page, '#time'), /keeps no time lines/);
  assert.match(await textOf(page, '#servers'), /keeps no samples of the servers/);
  assert.equal(await page.locator('canvas').count(), 0);
  nothing();
  await page.close();
  // Stopped before the first slice of an arm: what there is of the other is drawn.
  rehearsal.rounds[0]!.arms.baseline.slices.length = 0;
  assert.match(reportHtml(bare), /id="time-p99"/);
  rehearsal.rounds[0]!.arms.candidate.slices.length = 0;
  assert.match(reportHtml(bare), /keeps no time lines/);
});

/** A rehearsal in which everything that comes from outside attacks, in all the ways at once. */
async function attacked(): Promise<ReportSource> {
  const attacks = Object.values(ATTACKS);
  const model = await modelOf(
    attacks.flatMap((attack, i) => [
      { atUs: 1.7e15 + i * 1000, args: ['set', `${attack}:1`, attack] },
      { atUs: 1.7e15 + i * 1000 + 1, args: ['eval', `return '${attack}'`, '1', `${attack}:1`] },
    ]),
  );
  const errors = Object.fromEntries(attacks.map((attack) => [`${attack} ${attack}`, { [attack]: 50 }]));
  const overrides: Partial<Rehearsal> = {
    command: `cutover run '${attacks.join('')}'`,
    seed: ATTACKS.markup!,
    client: ATTACKS.markup!,
    machine: { platform: ATTACKS.markup!, cpu: ATTACKS.terminal!, cores: 4, memoryBytes: 2 ** 30 },
    caveats: attacks.map((attack) => ({ id: attack, message: attack, advice: attack })),
    findings: attacks.map((attack) => ({
      code: attack,
      rule: attack,
      severity: 'error',
      message: attack,
      fix: attack,
      calls: 1,
    })),
    configDifferences: attacks.map((attack) => ({ name: attack, baseline: attack, candidate: '' })),
    stopped: { reason: 'interrupted', message: ATTACKS.markup! },
    fidelity: attacks.map((attack) => ({ aspect: attack, metric: attack, target: 1, outcome: 'ok' })),
  };
  const source = judged((_, arm) => ({ ops: 300, families: attacks, ...(arm === 'candidate' ? { errors } : {}) }), {
    overrides,
    modelText: JSON.stringify(model),
    budget: `apiVersion: cutover/budget@1\nobjectives: ${JSON.stringify(attacks.slice(0, 10).map((family) => ({ family })))}\n`,
  });
  for (const arm of ['baseline', 'candidate'] as const) {
    source.judgement.arms[arm] = { ...source.judgement.arms[arm], version: ATTACKS.markup!, spec: ATTACKS.attribute! };
  }
  return source;
}

test('hostile data: nothing executes, nothing is asked for, all of it can be read', async () => {
  const source = await attacked();
  const { page, text, nothing } = await open(source);
  assert.doesNotMatch(text, /[^\P{C}\n]|[\p{Zl}\p{Zp}]/u);
  assert.deepEqual(
    await page.evaluate(`[document.scripts.length, document.images.length, document.querySelectorAll('b').length,
      document.querySelectorAll('[onload],[onerror],[style*=url],iframe,object,embed,base,link,form,input').length]`),
    [2, 0, source.judgement.caveats.length + 3, 0],
  );
  assert.deepEqual(
    await page.evaluate(`[...document.querySelectorAll('a')].filter((a) => a.protocol !== 'file:').length`),
    0,
  );
  await page.evaluate(`for (const folded of document.querySelectorAll('details')) folded.open = true`);
  for (const [section, least] of Object.entries({
    caveats: 20,
    errors: 20,
    lint: 20,
    environment: 20,
    workload: 15,
    'drill-down': 20,
  })) {
    const shown = await textOf(page, `#${section}`);
    const found = Object.values(ATTACKS).filter((attack) =>
      shown.includes(printable(attack).slice(0, 40).split('\n')[0]!),
    );
    assert.ok(found.length >= least, `${section}: ${found.length}`);
  }
  for (const width of [360, 1440]) {
    await page.setViewportSize({ width, height: 900 });
    assert.equal(await page.evaluate('document.documentElement.scrollWidth'), width);
  }
  nothing();
  await page.close();
});

test('the policy holds without the escaping: what gets into the page all the same neither runs nor loads', async () => {
  const { page } = await open(REPORTS.pass!);
  await page.evaluate(`(() => {
    const script = document.createElement('script');
    script.textContent = 'window.owned = true';
    document.body.append(script);
    document.body.insertAdjacentHTML('beforeend', '<img src="http://127.0.0.1:9/x"><b onclick="window.owned = true">x</b>');
    document.body.lastElementChild.click();
  })()`);
  assert.equal(await page.evaluate('window.owned'), undefined);
  await assert.rejects(page.evaluate(`fetch('http://127.0.0.1:9/')`), /Failed to fetch/);
  await page.close();
});
