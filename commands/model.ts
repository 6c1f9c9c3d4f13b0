/** Captures → their model, saved and summarized. */
import { writeFile } from 'node:fs/promises';
import { Flags } from '@oclif/core';
import { BaseCommand } from '../src/cli/base-command.ts';
import { overridesFlag, readOverrides } from '../src/cli/overrides-flag.ts';
import { Progress } from '../src/cli/progress.ts';
import { type Caveat, CutoverError, cannotWrite } from '../src/errors.ts';
import { buildHalves, buildModel } from '../src/model/build.ts';
import type { Model } from '../src/model/model.ts';
import type { FidelityRow } from '../src/plan/fidelity/fidelity.ts';
import { summarizeModel } from '../src/report/text/model.ts';

export default class ModelCommand extends BaseCommand {
  static override summary = 'Turn captures into a statistical model of their workload, and say how faithful it is.';
  static override description =
    `Prints a summary and a scorecard; with --json the whole model. Captures of several nodes, or parts of one, are merged by time; saved models (.json) are merged as models.

The model holds no keys and no values. Script calls keep their arguments, because these cannot be made up, with every word replaced that is not the script's own; numbers stay.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %> captures/sessions.monitor.gz',
    '<%= config.bin %> <%= command.id %> captures/queue.monitor.gz --output /tmp/queue.model.json',
    'zcat captures/mixed.monitor.gz | <%= config.bin %> <%= command.id %> - --json',
    '<%= config.bin %> <%= command.id %> node1.log node2.log node3.log --output cluster.model.json',
  ];
  static override strict = false;
  static override usage = 'model CAPTURE...';
  static override flags = {
    output: Flags.string({ char: 'o', description: 'also write the model to this file' }),
    scripts: Flags.string({ description: 'folder with Lua files, for scripts whose body is not in the capture' }),
    config: overridesFlag,
    'keep-arguments': Flags.boolean({ description: 'keep the arguments of script calls as they are: personal data' }),
    'replica-capture': Flags.boolean({ description: 'accept the capture of a replica' }),
  };

  async run(): Promise<Model & { fidelity: FidelityRow[]; caveats: Caveat[] }> {
    const { argv, flags } = await this.parse(ModelCommand);
    const names = argv as string[];
    if (names.length === 0) {
      throw new CutoverError(
        'usage',
        'E_USAGE',
        'No capture is named.',
        'Name one (plain, gzip or zstd; - for stdin), several of one cluster, or saved models (.json): cutover model app.log',
      );
    }
    const progress = new Progress(this.jsonEnabled());
    const options = {
      replica: flags['replica-capture'],
      rawArguments: flags['keep-arguments'],
      ...(flags.scripts ? { scripts: flags.scripts } : {}),
      ...(await readOverrides(flags.config)),
      onProgress: (lines: number) => progress.show(`reading ${names.join(', ')}: ${lines.toLocaleString('en')} lines`),
    };
    const { model, caveats, halves } = await buildModel(names, options);
    if (flags.output) {
      const path = flags.output;
      await writeFile(path, `${JSON.stringify(model)}\n`).catch((error) => {
        throw cannotWrite(path, error);
      });
    }
    progress.show('comparing a synthesized workload with it');
    // Of no use before, and a tenth of a second for which a long capture would wait.
    const { fidelityApart } = await import('../src/plan/fidelity/fidelity-apart.ts');
    const fidelity = await fidelityApart(model, () => halves ?? buildHalves(names, model, options));
    progress.done();
    this.log(summarizeModel(model, fidelity, caveats));
    if (flags.output) this.log(`\nModel written to ${flags.output}`);
    return { ...model, fidelity, caveats };
  }
}
