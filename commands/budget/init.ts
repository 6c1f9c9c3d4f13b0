/** A capture or model → a budget to start from. */
import { writeFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../../src/cli/base-command.ts';
import { sampleCapture } from '../../src/cli/workload-flags.ts';
import { draftBudget } from '../../src/compare/budget-draft.ts';
import { CutoverError, messageOf } from '../../src/errors.ts';
import { buildModel } from '../../src/model/build.ts';
import { capturedRateOf } from '../../src/plan/mode.ts';

export default class BudgetInit extends BaseCommand {
  static override summary =
    'Write a commented budget from a capture: its busiest families, with limits that a run can tell.';
  static override description =
    'Limits follow from how many samples a default run has of each family at the captured rate: a tighter one would mostly answer "cannot tell". Change what you know better.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> captures/sessions.monitor.gz --output budget.yaml',
    '<%= config.bin %> <%= command.id %> queue.model.json | less',
  ];
  static override enableJsonFlag = false;
  static override args = {
    workload: Args.string({ description: 'capture or model (.json); without it, the shipped sample' }),
  };
  static override flags = {
    output: Flags.string({ char: 'o', description: 'file to create; without it, the budget is printed' }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(BudgetInit);
    const source = args.workload ?? sampleCapture();
    const { model } = await buildModel(source);
    const schema = join(this.config.root, 'schemas', 'budget.schema.json');
    const text = draftBudget({
      ...{ model, source, rate: capturedRateOf('modelled', model) },
      schemaPath: relative(dirname(resolve(flags.output ?? 'budget.yaml')), schema),
    });
    if (flags.output === undefined) {
      this.log(text.trimEnd());
      return;
    }
    try {
      await writeFile(flags.output, text, { flag: 'wx' });
    } catch (error) {
      const exists = (error as NodeJS.ErrnoException).code === 'EEXIST';
      throw new CutoverError(
        'usage',
        'E_BUDGET',
        exists ? `${flags.output} exists already.` : `Cannot write ${flags.output}: ${messageOf(error)}.`,
        'Name a file that does not exist yet, where you may write; or print it: leave --output out.',
      );
    }
    this.logToStderr(`${flags.output} is written. What it means: cutover budget check ${flags.output}`);
  }
}
