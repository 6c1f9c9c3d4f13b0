/** A saved model → what is in it, for people. */
import { Args } from '@oclif/core';
import { BaseCommand } from '../../src/cli/base-command.ts';
import { buildModel } from '../../src/model/build.ts';
import type { Model } from '../../src/model/model.ts';
import { summarizeModel } from '../../src/report/text/model.ts';

export default class ModelShow extends BaseCommand {
  static override summary = 'Show what is in a saved model.';
  static override examples = ['<%= config.bin %> <%= command.id %> queue.model.json'];
  static override args = {
    model: Args.string({ required: true, description: 'saved model (.json), or a capture' }),
  };

  async run(): Promise<Model> {
    const { args } = await this.parse(ModelShow);
    const { model, caveats } = await buildModel(args.model);
    this.log(summarizeModel(model, [], caveats));
    return model;
  }
}
