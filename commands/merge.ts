/** The folders of all shards of one run → the folder and the verdict of the whole. */
import { createHash } from 'node:crypto';
import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../src/cli/base-command.ts';
import { exitCodeOf, onInconclusiveFlag, readBudget } from '../src/cli/verdict-flags.ts';
import { parseBudget } from '../src/compare/budget.ts';
import { judge } from '../src/compare/judge.ts';
import type { Judgement } from '../src/compare/judgement.ts';
import { clusterCaveats } from '../src/drive/cluster/cluster.ts';
import { createFolder, loadFolder, type RehearsalFolder, type StoredRehearsal } from '../src/measure/folder.ts';
import { mergeShards } from '../src/measure/merge.ts';
import { ARMS } from '../src/measure/rehearsal.ts';
import { reportHtml } from '../src/report/html.ts';
import { FORMATS } from '../src/report/index.ts';

export default class Merge extends BaseCommand {
  static override summary =
    'Merge the parts that several machines drove (run --shard) into one rehearsal, and judge it.';
  static override description =
    `Counts and histograms are added, so the result is what one machine would have measured. The folder is like any other: compare and report read it.
Refused: parts of different plans, seeds, models, budgets, settings or servers, and a missing or a double shard.
Exit codes: 0 pass, 1 fail, 2 usage, 4 inconclusive, 5 invalid, 70 bug.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %> shards/0 shards/1 shards/2 -o rehearsals/merged',
    '<%= config.bin %> <%= command.id %> shards/* --json',
  ];
  static override strict = false;
  static override args = {
    folders: Args.string({ required: true, description: 'folders that cutover run --shard wrote, all of one run' }),
  };
  static override flags = {
    budget: Flags.string({ description: "budget file (YAML); without it, the shards' own" }),
    output: Flags.string({ char: 'o', description: 'rehearsal folder to create; default: rehearsals/TIME' }),
    'on-inconclusive': onInconclusiveFlag,
  };

  async run(): Promise<Judgement> {
    const { argv, flags } = await this.parse(Merge);
    const parts = await Promise.all((argv as string[]).map(loadFolder));
    const [{ path, modelText, rehearsal: first, ...own }] = parts as [StoredRehearsal];
    const budgetText = flags.budget ? await readBudget(flags.budget) : own.budgetText;
    const budget = parseBudget(budgetText, flags.budget ?? `${path}/${first.files.budget}`);
    let folder: RehearsalFolder | undefined;
    const rehearsal = await mergeShards(parts, async (log, text) => {
      folder ??= await createFolder(flags.output);
      await folder.writeText(log, text);
    });
    folder ??= await createFolder(flags.output);
    rehearsal.budgetSha256 = createHash('sha256').update(budgetText).digest('hex');
    const slices = rehearsal.rounds.flatMap(({ arms }) => ARMS.flatMap((arm) => arms[arm].slices));
    // Each shard told of its own ops.
    rehearsal.caveats = [...rehearsal.caveats.filter(({ id }) => id !== 'cross-slot'), ...clusterCaveats(slices)];
    await folder.writeText(rehearsal.files.model, modelText);
    await folder.writeText(rehearsal.files.budget, budgetText);
    await folder.save(rehearsal);
    const stored = await loadFolder(folder.path);
    const judgement = judge(stored.rehearsal, stored.latencyOf, budget, folder.path);
    const judged = { ...stored, judgement };
    await folder.writeText('verdict.json', `${JSON.stringify(judgement, undefined, 2)}\n`);
    await folder.writeText('report.html', reportHtml(judged));
    this.log(FORMATS.terminal(judged, process.stdout).trimEnd());
    const exitCode = exitCodeOf(judgement, flags['on-inconclusive']);
    process.exitCode = exitCode;
    return { ...judgement, exitCode };
  }
}
