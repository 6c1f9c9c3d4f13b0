/** A capture → its model, saved and summarized. */
import { writeFile } from 'node:fs/promises';
import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../src/cli/base-command.ts';
import { Progress } from '../src/cli/progress.ts';
import type { Caveat } from '../src/errors.ts';
import { buildModel } from '../src/model/build.ts';
import type { Model } from '../src/model/model.ts';
import { type FidelityRow, fidelityOf } from '../src/plan/fidelity.ts';
import { summarizeModel } from '../src/report/text/model.ts';

export default class ModelCommand extends BaseCommand {
  static override summary = 'Turn a capture into a statistical model of its workload, and say what is in it.';
  static override description =
    'Prints a summary; with --json the whole model. The model holds no keys and no values, but for the arguments of scripts, which cannot be made up: treat it like the capture if your scripts receive personal data.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> captures/sessions.monitor.gz',
    '<%= config.bin %> <%= command.id %> captures/queue.monitor.gz --output /tmp/queue.model.json',
    'zcat captures/mixed.monitor.gz | <%= config.bin %> <%= command.id %> - --json',
  ];
  static override args = {
    capture: Args.string({
      required: true,
      description: 'MONITOR log, plain, gzip or zstd; - for stdin; or a saved model (.json)',
    }),
  };
  static override flags = {
    output: Flags.string({ char: 'o', description: 'also write the model to this file' }),
    scripts: Flags.string({ description: 'folder with Lua files, for scripts whose body is not in the capture' }),
    'replica-capture': Flags.boolean({ description: 'accept the capture of a replica' }),
  };

  async run(): Promise<Model & { fidelity: FidelityRow[]; caveats: Caveat[] }> {
    const { args, flags } = await this.parse(ModelCommand);
    const progress = new Progress(this.jsonEnabled());
    const { model, caveats } = await buildModel(args.capture, {
      replica: flags['replica-capture'],
      ...(flags.scripts ? { scripts: flags.scripts } : {}),
      onProgress: (lines) => progress.show(`reading ${args.capture}: ${lines.toLocaleString('en')} lines`),
    });
    progress.done();
    if (flags.output) await writeFile(flags.output, `${JSON.stringify(model)}\n`);
    const fidelity = fidelityOf(model);
    this.log(summarizeModel(model, fidelity, caveats));
    if (flags.output) this.log(`\nModel written to ${flags.output}`);
    return { ...model, fidelity, caveats };
  }
}
