/** Turns a plot into a figure: title, how to read it, picture, legend and the table behind it. */
import { html, type Markup } from './markup.ts';
import { downsample, type Plot } from './plot.ts';
import { plotSvg } from './plot-svg.ts';

/** Figures of a page, and the data that its script makes them explorable with. */
export class Figures {
  readonly plots: Record<string, Plot> = {};

  /** `id` is the figure's address for ever; `reading` says what to look for; `data` is its table. */
  draw(id: string, plot: Plot, reading: string, data: Markup): Markup {
    this.plots[id] = downsample(plot);
    return html`<figure id="${id}">
<figcaption><h3>${plot.title} <a class="self" href="#${id}" aria-label="Link to ${plot.title}">#</a></h3>
<p class="reading">${reading}</p></figcaption>
<p class="legend">${legendOf(plot)}</p>
<div class="static">${plotSvg(plot)}</div>
<div class="live" data-plot="${id}"></div>
<details><summary>Table: ${plot.title}</summary>${data}</details>
</figure>`;
  }
}

/** One entry for each group of lines: a button that hides them, once the page's script runs. */
function legendOf({ series, marks }: Plot): Markup[] {
  const groups = [...Map.groupBy(series, ({ group }) => group)].map(([group, lines]) => {
    const { colour, style } = lines[0]!;
    return html`<button type="button" aria-pressed="true" data-group="${group}"><svg class="key" viewBox="0 0 28 8" aria-hidden="true"><path class="line ${colour} ${style}" d="M1 4H27"/></svg>${group}</button>`;
  });
  const marked = new Map(marks.map((mark) => [mark.label, mark]));
  return [
    ...groups,
    ...[...marked.values()].map(
      ({ colour, label }) =>
        html`<span><svg class="key" viewBox="0 0 28 8" aria-hidden="true"><rect class="mark ${colour ?? ''}" width="28" height="8"/></svg>${label}</span>`,
    ),
  ];
}
