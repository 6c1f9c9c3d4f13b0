/** `cutover report`: a saved rehearsal to text in any format. */
/** A saved rehearsal → any report format. */
import { writeFile } from 'node:fs/promises';
import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../src/cli/base-command.ts';
import { parseBudget } from '../src/compare/budget.ts';
import { judge } from '../src/compare/judge.ts';
import type { Judgement } from '../src/compare/judgement.ts';
import { CutoverError, messageOf } from '../src/errors.ts';
import { loadFolder } from '../src/measure/folder.ts';
import { FORMATS } from '../src/report/index.ts';

export default class Report extends BaseCommand {
  static override summary = 'Report on a saved rehearsal, in any format.';
  static override description = `Judges by the budget in the rehearsal's folder (another one: cutover compare).
Exits 0 whatever the verdict: a report is not a gate, cutover run and cutover compare are.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %> rehearsals/2026-11-23T14-05-09-3f9a',
    '<%= config.bin %> <%= command.id %> rehearsals/main --format markdown >> "$GITHUB_STEP_SUMMARY"',
    '<%= config.bin %> <%= command.id %> rehearsals/main --format junit --output cutover.xml',
  ];
  static override args = {
    rehearsal: Args.string({ required: true, description: 'folder that cutover run wrote' }),
  };
  static override flags = {
    format: Flags.option({ options: Object.keys(FORMATS) as (keyof typeof FORMATS)[], description: 'what to write' })({
      default: 'terminal',
    }),
    output: Flags.string({ char: 'o', description: 'write to this file instead of stdout' }),
  };

  async run(): Promise<Judgement> {
    const { args, flags } = await this.parse(Report);
    const stored = await loadFolder(args.rehearsal);
    const { path, rehearsal, budgetText, latencyOf } = stored;
    const budget = parseBudget(budgetText, `${path}/${rehearsal.files.budget}`);
    const judgement = judge(rehearsal, latencyOf, budget, path);
    const source = { ...stored, judgement };
    if (flags.output === undefined) {
      this.log(FORMATS[flags.format](source, process.stdout).trimEnd());
    } else {
      await writeFile(flags.output, FORMATS[flags.format](source)).catch((error) => {
        throw new CutoverError(
          'usage',
          'E_OUTPUT',
          `Cannot write ${flags.output}: ${messageOf(error)}.`,
          'Name a file in a folder that exists and that you may write to.',
        );
      });
    }
    return judgement;
  }
}
