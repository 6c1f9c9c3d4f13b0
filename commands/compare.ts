/** `cutover compare`: a saved rehearsal, or two, to a verdict. */
/** A saved rehearsal, or two, and a budget → a verdict, without servers. */
import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../src/cli/base-command.ts';
import { exitCodeOf, onInconclusiveFlag, readBudget } from '../src/cli/verdict-flags.ts';
import { parseBudget } from '../src/compare/budget.ts';
import { judge } from '../src/compare/judge.ts';
import type { Judgement } from '../src/compare/judgement.ts';
import { joinRuns } from '../src/compare/stored-baseline.ts';
import { loadFolder } from '../src/measure/folder.ts';
import { FORMATS } from '../src/report/index.ts';

export default class Compare extends BaseCommand {
  static override summary = 'Judge a rehearsal again, with another budget or against a stored baseline.';
  static override description = `Needs no server: everything is in the rehearsal's folder.
With a second rehearsal, the baseline of the first is compared with the candidate of the second; both must come from the same model, seed, settings and machine.
Exit codes: 0 pass, 1 fail, 2 usage, 4 inconclusive, 5 invalid, 70 bug.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %> rehearsals/2026-11-23T14-05-09-3f9a --budget strict.yaml',
    '<%= config.bin %> <%= command.id %> rehearsals/main rehearsals/this-branch --on-inconclusive pass --json',
  ];
  static override args = {
    rehearsal: Args.string({ required: true, description: 'folder that cutover run wrote' }),
    candidate: Args.string({ description: 'folder of a newer run, whose candidate is judged instead' }),
  };
  static override flags = {
    budget: Flags.string({ description: "budget file (YAML); without it, the (newer) rehearsal's own" }),
    'on-inconclusive': onInconclusiveFlag,
  };

  async run(): Promise<Judgement> {
    const { args, flags } = await this.parse(Compare);
    const first = await loadFolder(args.rehearsal);
    const second = args.candidate === undefined ? undefined : await loadFolder(args.candidate);
    const newest = second ?? first;
    const budget = flags.budget
      ? parseBudget(await readBudget(flags.budget), flags.budget)
      : parseBudget(newest.budgetText, `${newest.path}/${newest.rehearsal.files.budget}`);
    const stored = second ? joinRuns(first, second) : first;
    const judgement = judge(stored.rehearsal, stored.latencyOf, budget, newest.path);
    const exitCode = exitCodeOf(judgement, flags['on-inconclusive']);
    process.exitCode = exitCode;
    this.log(FORMATS.terminal({ ...stored, judgement }, process.stdout).trimEnd());
    return { ...judgement, exitCode };
  }
}
