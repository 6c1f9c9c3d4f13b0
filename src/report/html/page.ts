/** Turns sections into one HTML file that needs nothing else and may do nothing else. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { explore } from './explore.ts';
import { html, type Markup } from './markup.ts';
import type { Plot } from './plot.ts';
import { STYLE } from './style.ts';

interface Page {
  title: string;
  /** The line at the top. */
  heading: Markup;
  /** Fragment and name of what can be jumped to. */
  contents: [string, string][];
  sections: (Markup | undefined)[];
  footer: Markup;
  plots: Record<string, Plot>;
}

/** A file of uPlot, as its package ships it. */
const chartFile = (name: string) => readFileSync(createRequire(import.meta.url).resolve(`uplot/dist/${name}`), 'utf8');

/** What nobody else may add to: only the blocks with these very contents run or style anything. */
const hashOf = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

const ours = (markup: string): Markup => ({ markup });

/** JSON in which no character can end the element that holds it. */
const json = (value: unknown) =>
  ours(
    JSON.stringify(value).replace(/[<>&\u2028\u2029]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`),
  );

/**
 * A strict policy instead of trust in the escaping alone: nothing is loaded, nothing runs or styles but the blocks written
 * here. The data are in an element that no browser executes.
 */
export function renderPage({ title, heading, contents, sections, footer, plots }: Page): string {
  const style = `${chartFile('uPlot.min.css')}${STYLE}`;
  const script = `${chartFile('uPlot.iife.min.js')}\n(${explore})(uPlot,window,JSON.parse(document.getElementById('plots').textContent));`;
  const policy = `default-src 'none'; style-src ${hashOf(style)}; script-src ${hashOf(script)}; base-uri 'none'; form-action 'none'`;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${ours(policy)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="generator" content="cutover">
<title>${title}</title>
<style>${ours(style)}</style>
</head>
<body>
<a class="skip" href="#verdict">To the verdict</a>
<header>${heading}</header>
<nav aria-label="Contents"><ul tabindex="0" aria-label="Contents">${contents.map(([id, label]) => html`<li><a href="#${id}">${label}</a></li>`)}</ul></nav>
<main>
${sections}
</main>
<footer>${footer}</footer>
<script type="application/json" id="plots">${json(plots)}</script>
<script>${ours(script)}</script>
</body>
</html>
`.markup;
}
