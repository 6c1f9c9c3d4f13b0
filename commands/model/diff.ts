/** Two models or captures → how far their workloads are apart. */
import { Args } from '@oclif/core';
import { BaseCommand } from '../../src/cli/base-command.ts';
import { buildModel } from '../../src/model/build.ts';
import { compareModels, type Difference } from '../../src/model/difference.ts';
import { summarizeDifference } from '../../src/report/text/model.ts';

export default class ModelDiff extends BaseCommand {
  static override summary = 'Compare the workloads of two captures or models: what changed in our traffic?';
  static override examples = ['<%= config.bin %> <%= command.id %> march.model.json april.monitor.zst'];
  static override args = {
    a: Args.string({ required: true, description: 'capture or saved model (.json)' }),
    b: Args.string({ required: true, description: 'another one' }),
  };

  async run(): Promise<{ schema: string; differences: Difference[] }> {
    const { args } = await this.parse(ModelDiff);
    const [a, b] = [(await buildModel(args.a)).model, (await buildModel(args.b)).model];
    const differences = compareModels(a, b);
    this.log(summarizeDifference(a, b, differences));
    return { schema: 'cutover/model-diff@1', differences };
  }
}
