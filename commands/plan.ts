/** A capture or model → the planned workload, to look at. */
import { once } from 'node:events';
import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../src/cli/base-command.ts';
import { overridesFlag, readOverrides } from '../src/cli/overrides-flag.ts';
import {
  datasetLimitFlag,
  keysFlag,
  modeFlag,
  rateFlag,
  sampleCapture,
  secondsFlag,
} from '../src/cli/workload-flags.ts';
import { buildModel } from '../src/model/build.ts';
import { capturedRateOf, checkMode, openWorkload } from '../src/plan/mode.ts';
import { monitorLines } from '../src/plan/monitor-log.ts';
import { printable } from '../src/printable.ts';

export default class PlanCommand extends BaseCommand {
  static override summary = 'Print the planned workload as a MONITOR log, for looking at it and for other tools.';
  static override description =
    'What `run` would send in one slice: the same model, seed, rate and epoch give the same bytes on every machine. The preload is not part of it unless asked for.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> captures/mixed.monitor.gz --duration 1s | head -5',
    '<%= config.bin %> <%= command.id %> captures/sessions.monitor.gz --rate 2x --seed 7 --format resp > /tmp/sessions.resp',
  ];
  static override enableJsonFlag = false;
  static override args = {
    capture: Args.string({ description: 'capture or model (.json); without it, the shipped sample' }),
  };
  static override flags = {
    duration: secondsFlag('length of the planned workload', 10),
    rate: rateFlag(),
    mode: modeFlag({ default: 'modelled' }),
    keys: keysFlag(),
    seed: Flags.string({ description: 'same seed, same workload', default: '1' }),
    epoch: Flags.integer({
      description: 'Unix time in seconds that planned times begin at; default: that of the capture',
    }),
    format: Flags.option({ options: ['monitor', 'resp'] as const, description: 'text lines, or the RESP bytes' })({
      default: 'monitor',
    }),
    preload: Flags.boolean({ description: 'print the preload (RESP) instead of the workload' }),
    'dataset-limit': datasetLimitFlag,
    scripts: Flags.string({ description: 'folder with Lua files, for scripts whose body is not in the capture' }),
    config: overridesFlag,
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(PlanCommand);
    const source = args.capture ?? sampleCapture();
    const overrides = await readOverrides(flags.config);
    checkMode({ mode: flags.mode, keys: flags.keys, source, ...overrides });
    const { model, captured, caveats } = await buildModel(source, {
      ...(flags.scripts ? { scripts: flags.scripts } : {}),
      ...overrides,
      keepKeys: flags.mode === 'exact',
    });
    const epochSeconds = flags.epoch ?? Math.floor(model.source.first);
    const workload = await openWorkload({
      ...{ mode: flags.mode, keys: flags.keys, source, seed: flags.seed, epochSeconds, replica: false },
      ...{ model, captured },
      datasetBytes: flags['dataset-limit'],
      rate: flags.rate(capturedRateOf(flags.mode, model)),
      seconds: flags.duration,
    });
    for (const { message, advice } of [...caveats, ...workload.caveats])
      this.logToStderr(`! ${printable(message)}\n  → ${printable(advice)}`);
    const write = async (chunk: string | Uint8Array) => {
      if (!process.stdout.write(chunk)) await once(process.stdout, 'drain');
    };
    if (flags.preload) {
      for (const { db, chunks } of workload.plan.preload.databases) {
        await write(`*2\r\n$6\r\nselect\r\n$${String(db).length}\r\n${db}\r\n`);
        for (const chunk of chunks()) await write(chunk);
      }
      return;
    }
    const slice = workload.slice(0, 0, flags.duration);
    if (flags.format === 'resp') await write(slice.bytes);
    else for (const line of monitorLines(workload.plan, slice, epochSeconds)) await write(`${line}\n`);
  }
}
