/** `cutover report`: a saved rehearsal to text in any format. */
/** A saved rehearsal → any report format. */
import { writeFile } from 'node:fs/promises';
import { Flags } from '@oclif/core';
import { BaseCommand } from '../src/cli/base-command.ts';
import { parseBudget } from '../src/compare/budget.ts';
import { judge } from '../src/compare/judge.ts';
import type { Judgement } from '../src/compare/judgement.ts';
import { CutoverError, cannotWrite } from '../src/errors.ts';
import { loadFolder, type StoredRehearsal } from '../src/measure/folder.ts';
import { historyOf } from '../src/report/history/history.ts';
import { historyHtml } from '../src/report/history/html.ts';
import { historyTerminal } from '../src/report/history/terminal.ts';
import { FORMATS } from '../src/report/index.ts';
import type { ReportSource } from '../src/report/source.ts';

export default class Report extends BaseCommand {
  static override summary = 'Report on a saved rehearsal, in any format.';
  static override description = `Judges by the budget in the rehearsal's folder (another one: cutover compare).
Several folders are laid over each other, oldest first (terminal and html): versions over time. Figures that another machine or another workload made are said to be such and kept out of common pictures.
Exits 0 whatever the verdict: a report is not a gate, cutover run and cutover compare are.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %> rehearsals/2026-11-23T14-05-09-3f9a',
    '<%= config.bin %> <%= command.id %> rehearsals/main --format markdown >> "$GITHUB_STEP_SUMMARY"',
    '<%= config.bin %> <%= command.id %> rehearsals/main --format junit --output cutover.xml',
    '<%= config.bin %> <%= command.id %> rehearsals/* --format html --output history.html',
  ];
  static override strict = false;
  static override usage = 'report REHEARSAL...';
  static override flags = {
    format: Flags.option({ options: Object.keys(FORMATS) as (keyof typeof FORMATS)[], description: 'what to write' })({
      default: 'terminal',
    }),
    output: Flags.string({ char: 'o', description: 'write to this file instead of stdout' }),
  };

  async run(): Promise<Judgement | HistoryDocument> {
    const { argv, flags } = await this.parse(Report);
    const folders = argv as string[];
    if (folders.length === 0) {
      throw new CutoverError('usage', 'E_USAGE', 'No rehearsal is named.', 'Name the folder that cutover run printed.');
    }
    const sources = await Promise.all(folders.map(loadJudged));
    const [source, ...others] = sources as [Source, ...Source[]];
    if (others.length === 0) {
      await this.write((stream) => FORMATS[flags.format](source, stream), flags.output);
      return source.judgement;
    }
    if (flags.format !== 'terminal' && flags.format !== 'html') {
      throw new CutoverError(
        'usage',
        'E_FORMAT',
        `Several rehearsals have no ${flags.format} report.`,
        'Name one folder, or use --format terminal or html; --json has all judgements.',
      );
    }
    const history = historyOf(sources);
    const report = { terminal: historyTerminal, html: historyHtml }[flags.format];
    await this.write(() => report(history), flags.output);
    return {
      schema: 'cutover/history@1',
      rehearsals: history.episodes.map(({ source: { judgement }, differs }) => ({ differs, judgement })),
      notes: history.notes,
    };
  }

  private async write(render: (stream?: NodeJS.WriteStream) => string, file: string | undefined): Promise<void> {
    if (file === undefined) return this.log(render(process.stdout).trimEnd());
    await writeFile(file, render()).catch((error) => {
      throw cannotWrite(file, error);
    });
  }
}

type Source = ReportSource & StoredRehearsal;

/** `--json` of several rehearsals. */
export interface HistoryDocument {
  schema: 'cutover/history@1';
  /** Oldest first; `differs`: conditions that were not the newest's. */
  rehearsals: { differs: string[]; judgement: Judgement }[];
  notes: string[];
}

/** A folder, judged by the budget in it. */
async function loadJudged(folder: string): Promise<Source> {
  const stored = await loadFolder(folder);
  const { path, rehearsal, budgetText, latencyOf } = stored;
  const budget = parseBudget(budgetText, `${path}/${rehearsal.files.budget}`);
  return { ...stored, judgement: judge(rehearsal, latencyOf, budget, path) };
}
