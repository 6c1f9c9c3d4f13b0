/** A budget file → what it means in plain words, or the place of the first mistake in it. */
import { Args } from '@oclif/core';
import { BaseCommand } from '../../src/cli/base-command.ts';
import { readBudget } from '../../src/cli/verdict-flags.ts';
import { type Budget, parseBudget } from '../../src/compare/budget.ts';
import { describeBudget } from '../../src/report/text/budget.ts';

export default class BudgetCheck extends BaseCommand {
  static override summary = 'Check a budget file and print what it means.';
  static override examples = ['<%= config.bin %> <%= command.id %> budget.yaml'];
  static override args = {
    budget: Args.string({ required: true, description: 'budget file (YAML)' }),
  };

  async run(): Promise<{ schema: 'cutover/budget-check@1'; budget: Budget }> {
    const { args } = await this.parse(BudgetCheck);
    const budget = parseBudget(await readBudget(args.budget), args.budget);
    this.log(describeBudget(budget, new Date().toISOString()));
    return { schema: 'cutover/budget-check@1', budget };
  }
}
