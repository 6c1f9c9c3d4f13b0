/** What the page's script does: turns each static picture into a chart that can be zoomed, read and filtered. */
import type uPlot from 'uplot';
import type { Plot } from './plot.ts';

// The compiler knows no browser here, so that nothing of Node's code can use one by mistake: this is all that is asked of it.
interface PageElement {
  id: string;
  textContent: string;
  className: string;
  tabIndex: number;
  clientWidth: number;
  open: boolean;
  dataset: Record<string, string>;
  classList: { add(name: string): void };
  append(...children: PageElement[]): void;
  setAttribute(name: string, value: string): void;
  closest(selector: string): PageElement | null;
  querySelectorAll(selector: string): Iterable<PageElement>;
  addEventListener(type: string, listener: (event: PageEvent) => void): void;
}
interface PageEvent {
  key: string;
  shiftKey: boolean;
  target: PageElement;
  preventDefault(): void;
}
interface Page {
  documentElement: PageElement;
  createElement(kind: string): PageElement;
  getElementById(id: string): PageElement | null;
  querySelectorAll(selector: string): Iterable<PageElement>;
  addEventListener(type: string, listener: (event: PageEvent) => void, capture: boolean): void;
}
interface Window {
  document: Page;
  location: { hash: string };
  getComputedStyle(element: PageElement): { getPropertyValue(name: string): string };
  matchMedia(query: string): { addEventListener(type: 'change', listener: () => void): void };
  addEventListener(type: string, listener: () => void): void;
  ResizeObserver: new (listener: () => void) => { observe(element: PageElement): void };
}

/**
 * Goes into the page as its own source text, so it can use nothing of this file but its arguments.
 * Without it the page shows the same pictures, at rest.
 */
export function explore(Chart: typeof uPlot, window: Window, plots: Record<string, Plot>): void {
  const { document } = window;
  const rounded = (value: number) => String(Number(value.toPrecision(3)));
  const show: Record<Plot['y']['unit'], (value: number) => string> = {
    us: (us) =>
      us < 999.5 ? `${Math.round(us)} µs` : us < 999_500 ? `${rounded(us / 1000)} ms` : `${rounded(us / 1e6)} s`,
    seconds: (seconds) => `${rounded(seconds)} s`,
    perSecond: (rate) => Math.round(rate).toLocaleString('en-US'),
    number: rounded,
    percentile: (x) => `${Number((100 - 100 / x).toPrecision(7))}`,
    ordinal: String,
  };
  const dashes: Partial<Record<Plot['series'][number]['style'], number[]>> = {
    dashed: [7, 4],
    dotted: [2, 4],
    faint: [2, 3],
  };
  const paint = (name: string) =>
    window.getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const charts: uPlot[] = [];

  const logarithmic = (axis: Plot['y']) => axis.scale !== 'linear';
  /** Where an axis gets its labels: at every nine, at whole numbers, or at round ones as far apart as the range is wide. */
  const splits = (axis: Plot['y']) => (chart: uPlot, _: number, low: number, high: number) => {
    const tens = Array.from({ length: 12 }, (_, decade) => 10 ** decade);
    const steps = high / low > 2000 ? [1] : high / low > 5 ? [1, 2, 5] : [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9];
    /** Room for one label, as a share of the axis in decades. */
    const room = (46 * Math.log10(high / low)) / Math.max(1, chart.width - 110);
    let last = Number.NEGATIVE_INFINITY;
    const nines = [1, 2, ...tens.slice(1)].filter((nine) => {
      if (nine < low || Math.log10(nine) - last < room) return false;
      last = Math.log10(nine);
      return true;
    });
    const candidates = {
      percentile: nines,
      log: tens.flatMap((ten) => steps.map((step) => ten * step)),
      linear: [...chart.data[0]],
    }[axis.scale];
    return candidates.filter((value) => value >= low && value <= high).sort((a, b) => a - b);
  };
  const placed = (axis: Plot['y']) =>
    logarithmic(axis) || axis.unit === 'ordinal'
      ? { splits: splits(axis), filter: (_: uPlot, all: number[]) => all }
      : {};

  function draw(place: PageElement): void {
    const plot = plots[place.dataset.plot!]!;
    const width = place.clientWidth;
    if (place.dataset.drawn || place.closest('details:not([open])')) return;
    place.dataset.drawn = 'yes';
    const { x, y, series, marks } = plot;
    const holder = document.createElement('div');
    holder.className = 'chart';
    holder.tabIndex = 0;
    holder.setAttribute('role', 'application');
    holder.setAttribute(
      'aria-label',
      `${plot.title}. Arrow keys move along it, plus and minus zoom, Escape shows all.`,
    );
    const readout = document.createElement('output');
    readout.className = 'readout';
    const chart = new Chart(
      {
        width,
        height: 320,
        legend: { show: false },
        cursor: { drag: { x: true, y: false }, points: { size: 7 } },
        scales: {
          x: {
            time: false,
            distr: logarithmic(x) ? 3 : 1,
            range: (_, low, high) => [low ?? 1, high === low ? low + 1 : (high ?? 2)],
          },
          // A logarithm has no zero, and a rate is read against it.
          y: logarithmic(y)
            ? { distr: 3, range: (_, low, high) => [(low ?? 1) / 1.2, (high ?? 10) * 1.2] }
            : { range: (_, low, high) => [Math.min(0, low ?? 0), (high ?? 1) * 1.05 || 1] },
        },
        axes: [
          {
            label: x.label,
            stroke: () => paint('quiet'),
            grid: { stroke: () => paint('line'), width: 1 },
            ticks: { stroke: () => paint('line') },
            ...placed(x),
            values: (_, splits) => splits.map((value) => (value === null ? '' : show[x.unit](value))),
          },
          {
            label: y.label,
            size: 78,
            ...placed(y),
            stroke: () => paint('quiet'),
            grid: { stroke: () => paint('line'), width: 1 },
            ticks: { stroke: () => paint('line') },
            values: (_, splits) => splits.map((value) => (value === null ? '' : show[y.unit](value))),
          },
        ],
        series: [
          {},
          ...series.map(({ label, colour, style }) => ({
            label,
            stroke: () => paint(colour),
            width: style === 'thin' || style === 'faint' ? 1 : 2,
            dash: dashes[style] ?? [],
            points: { show: x.unit === 'ordinal' },
            spanGaps: false,
          })),
        ],
        hooks: {
          drawClear: [
            (self) => {
              for (const { from, to, colour } of marks) {
                const left = Math.max(self.valToPos(Math.max(from, self.scales.x!.min!), 'x', true), self.bbox.left);
                const right = Math.min(
                  self.valToPos(Math.min(to, self.scales.x!.max!), 'x', true),
                  self.bbox.left + self.bbox.width,
                );
                if (right < left) continue;
                self.ctx.save();
                self.ctx.globalAlpha = 0.22;
                self.ctx.fillStyle = paint(colour ?? 'outside');
                self.ctx.fillRect(left, self.bbox.top, Math.max(2, right - left), self.bbox.height);
                self.ctx.restore();
              }
            },
          ],
          setCursor: [
            (self) => {
              const at = self.cursor.idx;
              readout.textContent =
                at === null || at === undefined
                  ? 'Point at the chart, or use the arrow keys.'
                  : describe(plot, self, at);
            },
          ],
        },
      },
      [
        x.values,
        ...series.map((one) => one.y.map((value) => (value !== null && logarithmic(y) ? Math.max(1, value) : value))),
      ] as uPlot.AlignedData,
      holder as never,
    );
    charts.push(chart);
    place.append(holder, readout);
    listen(place.closest('figure')!, plot, chart);
    readout.textContent = 'Point at the chart, or use the arrow keys. Drag to zoom, double-click to see all.';
    holder.addEventListener('keydown', (event) => steer(event, chart));
    new window.ResizeObserver(() => {
      if (place.clientWidth > 0 && place.clientWidth !== chart.width)
        chart.setSize({ width: place.clientWidth, height: 320 });
    }).observe(place);
  }

  function describe({ x, y, series }: Plot, chart: uPlot, at: number): string {
    const parts = [...new Set(series.map(({ group }) => group))].flatMap((name) => {
      const shown = series.flatMap((one, i) =>
        one.group === name && chart.series[i + 1]!.show ? [{ one, value: one.y[at] }] : [],
      );
      const values = shown.flatMap(({ one, value }) => (value === null || value === undefined ? [] : [{ one, value }]));
      if (values.length === 0) return [];
      // Many rounds over each other: what they span.
      if (values.length > 3) {
        const all = values.map(({ value }) => value).sort((a, b) => a - b);
        return [
          `${name} ${show[y.unit](all[0]!)} to ${show[y.unit](all.at(-1)!)}, median ${show[y.unit](all[all.length >> 1]!)}`,
        ];
      }
      return values.map(({ one, value }) => `${one.label} ${show[y.unit](value)}`);
    });
    const places: Partial<Record<Plot['x']['unit'], string>> = {
      seconds: 'at ',
      percentile: 'P',
      ordinal: 'rehearsal ',
    };
    return `${places[x.unit]}${show[x.unit](x.values[at]!)}: ${parts.join(' · ')}`;
  }

  function listen(figure: PageElement, { series }: Plot, chart: uPlot): void {
    for (const button of figure.querySelectorAll('button[data-group]')) {
      const members = series.flatMap(({ group }, i) => (group === button.dataset.group ? [i + 1] : []));
      button.addEventListener('click', () => {
        const shown = !chart.series[members[0]!]!.show;
        for (const member of members) chart.setSeries(member, { show: shown });
        button.setAttribute('aria-pressed', String(shown));
      });
    }
  }

  function steer(event: PageEvent, chart: uPlot): void {
    const xs = chart.data[0] as number[];
    const { min, max } = chart.scales.x!;
    const inside = xs.flatMap((value, i) => (value >= min! && value <= max! ? [i] : []));
    const at = Math.max(0, inside.indexOf(chart.cursor.idx ?? -1));
    const moveTo = (position: number) => {
      const value = xs[inside[Math.min(inside.length - 1, Math.max(0, position))]!]!;
      chart.setCursor({ left: chart.valToPos(value, 'x'), top: 1 });
    };
    const zoom = (factor: number) => {
      const half = Math.max(2, Math.round((inside.length * factor) / 2));
      const middle = inside[at] ?? 0;
      chart.setScale('x', { min: xs[Math.max(0, middle - half)]!, max: xs[Math.min(xs.length - 1, middle + half)]! });
    };
    const acts: Record<string, () => void> = {
      ArrowLeft: () => moveTo(at - (event.shiftKey ? 10 : 1)),
      ArrowRight: () => moveTo(at + (event.shiftKey ? 10 : 1)),
      Home: () => moveTo(0),
      End: () => moveTo(inside.length - 1),
      '+': () => zoom(0.5),
      '=': () => zoom(0.5),
      '-': () => zoom(2),
      Escape: () => chart.setScale('x', { min: xs[0]!, max: xs.at(-1)! }),
    };
    const act = acts[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  const drawAll = () => {
    for (const place of document.querySelectorAll('[data-plot]')) draw(place);
  };
  /** A link may lead into something that is folded. */
  const unfold = () => {
    const target = document.getElementById(window.location.hash.slice(1));
    const folded = target?.closest('details');
    if (folded) folded.open = true;
  };
  document.documentElement.classList.add('explorable');
  document.addEventListener('toggle', drawAll, true);
  window.addEventListener('hashchange', unfold);
  window.matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
    for (const chart of charts) chart.redraw();
  });
  unfold();
  drawAll();
}
