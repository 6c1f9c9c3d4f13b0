/** The main job: a workload, two servers and a budget → a rehearsal folder and a verdict. */
import { createHash } from 'node:crypto';
import { relative } from 'node:path';
import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../src/cli/base-command.ts';
import { commandLine } from '../src/cli/command-line.ts';
import { interruptSignal } from '../src/cli/interrupt.ts';
import { overridesFlag, readOverrides } from '../src/cli/overrides-flag.ts';
import { Progress } from '../src/cli/progress.ts';
import { exitCodeOf, onInconclusiveFlag, readBudget } from '../src/cli/verdict-flags.ts';
import {
  bytesFlag,
  coresFlag,
  keysFlag,
  modeFlag,
  rateFlag,
  sampleCapture,
  secondsFlag,
} from '../src/cli/workload-flags.ts';
import { parseBudget } from '../src/compare/budget.ts';
import { DEFAULT_BUDGET } from '../src/compare/default-budget.ts';
import { judge } from '../src/compare/judge.ts';
import type { Judgement } from '../src/compare/judgement.ts';
import { CLIENTS, type ClientName } from '../src/drive/clients/index.ts';
import { conduct } from '../src/drive/conductor.ts';
import { defaultWorkers } from '../src/drive/driver.ts';
import { CutoverError } from '../src/errors.ts';
import { selectRules } from '../src/lint/engine.ts';
import { lintPaths } from '../src/lint/index.ts';
import { parseServer } from '../src/lint/profile.ts';
import { RULES } from '../src/lint/rules/index.ts';
import { createFolder, latencyReader } from '../src/measure/folder.ts';
import { describeMachine } from '../src/measure/machine.ts';
import { ARMS, type Arm, type LintSummary, type Rehearsal } from '../src/measure/rehearsal.ts';
import { buildHalves, buildModel } from '../src/model/build.ts';
import { type Done, fidelityCaveats, fidelityOf, outcomeOf } from '../src/plan/fidelity.ts';
import { capturedRateOf, checkMode, openWorkload } from '../src/plan/mode.ts';
import { FORMATS } from '../src/report/index.ts';
import { resolveSpecs, withoutCredentials } from '../src/servers/index.ts';

export default class Run extends BaseCommand {
  static override summary =
    'Rehearse the migration: drive two servers with a captured workload and judge the candidate.';
  static override description =
    `Both arms get the same bytes at the same relative times, in rounds of fresh servers with slices in ABBA order.
A server is redis or valkey (a container where an engine answers, else the binary on PATH), docker:IMAGE, process:BINARY, or the URL of an empty server that someone else runs (redis://, rediss://, valkey://, valkeys://, unix:/path).
Exit codes: 0 pass, 1 fail, 2 usage, 3 cannot run here, 4 inconclusive, 5 invalid, 70 bug, 130 interrupted.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> captures/sessions.monitor.gz --rounds 3 --slice 1s',
    '<%= config.bin %> <%= command.id %> app.log --baseline docker:redis:7.2 --candidate docker:valkey/valkey:8.1 --budget budget.yaml',
    '<%= config.bin %> <%= command.id %> app.log --candidate valkey://staging:6379 --rate 2x --json',
  ];
  static override args = {
    workload: Args.string({
      description: 'capture (plain, gzip, zstd; - for stdin) or model (.json); without it, the shipped sample',
    }),
  };
  static override flags = {
    baseline: Flags.string({
      char: 'b',
      description: 'server to compare with',
      default: 'redis',
      env: 'CUTOVER_BASELINE',
    }),
    candidate: Flags.string({ char: 'c', description: 'server to judge', default: 'valkey', env: 'CUTOVER_CANDIDATE' }),
    budget: Flags.string({ description: 'budget file (YAML); without it, the default budget' }),
    rate: rateFlag(),
    mode: modeFlag({ default: 'modelled' }),
    keys: keysFlag(),
    rounds: Flags.integer({
      description: 'rounds of fresh servers: the unit of replication',
      default: 5,
      min: 1,
      max: 200,
    }),
    'slice-pairs': Flags.integer({ description: 'slices per arm and round', default: 2, min: 1, max: 20 }),
    slice: secondsFlag('length of a slice', 3),
    warmup: secondsFlag('load on each arm before the first slice of a round', 1),
    seed: Flags.string({ description: 'same seed, same workload', default: '1' }),
    epoch: Flags.integer({ description: 'Unix time in seconds that planned times begin at; default: now' }),
    client: Flags.option({
      options: Object.keys(CLIENTS) as ClientName[],
      description: 'what sends the load, to both arms',
    })({ default: 'raw' }),
    workers: Flags.integer({ description: 'load threads; default: by the number of cores', min: 1, max: 64 }),
    memory: bytesFlag({ description: 'memory limit of each container (512mb, 2gb)' }),
    cpus: coresFlag({ description: 'CPU limit of each container, in cores (1.5)' }),
    cpuset: Flags.string({ description: 'cores that each server may use (2-3)' }),
    scripts: Flags.string({ description: 'folder with Lua files, for scripts whose body is not in the capture' }),
    config: overridesFlag,
    'allow-nonempty': Flags.boolean({
      description: 'use a server by URL though it holds data, which may be overwritten',
    }),
    'replica-capture': Flags.boolean({ description: 'accept the capture of a replica' }),
    output: Flags.string({ char: 'o', description: 'rehearsal folder to create; default: rehearsals/TIME' }),
    'on-inconclusive': onInconclusiveFlag,
  };

  async run(): Promise<Judgement> {
    const { args, flags } = await this.parse(Run);
    const progress = new Progress(this.jsonEnabled());
    const signal = interruptSignal();
    // Everything that can be wrong with the arguments is found before anything runs.
    const budgetText = flags.budget ? await readBudget(flags.budget) : DEFAULT_BUDGET;
    const budget = parseBudget(budgetText, flags.budget ?? 'default budget');
    const limits = {
      ...(flags.memory === undefined ? {} : { memoryBytes: flags.memory }),
      ...(flags.cpus === undefined ? {} : { cpus: flags.cpus }),
      ...(flags.cpuset === undefined ? {} : { cpuset: flags.cpuset }),
    };
    const name = args.workload ?? sampleCapture();
    checkMode({ mode: flags.mode, keys: flags.keys, source: name });
    const buildOptions = {
      replica: flags['replica-capture'],
      ...(flags.scripts ? { scripts: flags.scripts } : {}),
      ...(await readOverrides(flags.config)),
      onProgress: (lines: number) => progress.show(`reading ${name}: ${lines.toLocaleString('en')} lines`),
    };
    const { model, caveats } = await buildModel(name, buildOptions);
    const fidelity = flags.mode === 'modelled' ? fidelityOf(model, await buildHalves([name], model, buildOptions)) : [];
    const capturedRate = capturedRateOf(flags.mode, model);
    const rate = flags.rate(capturedRate);
    const epochSeconds = flags.epoch ?? Math.floor(Date.now() / 1000);
    const workload = await openWorkload({
      ...{ mode: flags.mode, keys: flags.keys, source: name, model, seed: flags.seed, epochSeconds, rate },
      seconds: flags.warmup + flags['slice-pairs'] * flags.slice,
      replica: flags['replica-capture'],
    });
    const { specs, note } = await resolveSpecs({ baseline: flags.baseline, candidate: flags.candidate });
    if (note) this.logToStderr(note);
    const workers = flags.workers ?? defaultWorkers();
    const folder = await createFolder(flags.output);
    await folder.writeText('model.json', `${JSON.stringify(model)}\n`);
    await folder.writeText('budget.yaml', budgetText);
    const rehearsal: Rehearsal = {
      schema: 'cutover/rehearsal@1',
      cutover: this.config.version,
      node: process.version,
      startedAt: new Date().toISOString(),
      command: commandLine('run', [args.workload ?? relative(process.cwd(), name)], {
        baseline: withoutCredentials(specs.baseline),
        candidate: withoutCredentials(specs.candidate),
        budget: flags.budget,
        rate: Number(rate.toPrecision(6)),
        mode: flags.mode,
        keys: flags.keys,
        rounds: flags.rounds,
        'slice-pairs': flags['slice-pairs'],
        slice: `${flags.slice}s`,
        warmup: `${flags.warmup}s`,
        seed: flags.seed,
        epoch: epochSeconds,
        client: flags.client,
        workers,
        memory: flags.memory,
        cpus: flags.cpus,
        cpuset: flags.cpuset,
        scripts: flags.scripts,
        config: flags.config,
        'allow-nonempty': flags['allow-nonempty'],
        'replica-capture': flags['replica-capture'],
      }),
      seed: flags.seed,
      settings: {
        ...{
          rounds: flags.rounds,
          slicePairs: flags['slice-pairs'],
          sliceSeconds: flags.slice,
          warmupSeconds: flags.warmup,
        },
        ...{ rate, capturedRate, connections: workload.plan.connections.length, workers },
      },
      machine: describeMachine(),
      files: { model: 'model.json', budget: 'budget.yaml' },
      budgetSha256: createHash('sha256').update(budgetText).digest('hex'),
      client: flags.client,
      arms: {} as Rehearsal['arms'],
      configDifferences: [],
      rounds: [],
      caveats: [
        ...caveats,
        ...workload.caveats,
        ...fidelityCaveats(fidelity.filter((row) => row.outcome === 'missed')),
      ],
    };
    try {
      await conduct({
        rehearsal,
        workload,
        specs: specs,
        limits,
        client: flags.client,
        allowNonempty: flags['allow-nonempty'],
        signal,
        save: (document) => folder.save(document),
        writeLog: (path, text) => folder.writeText(path, text),
        onStage: ({ doneSeconds, totalSeconds, message }) => {
          const left = Math.max(0, Math.round(totalSeconds - doneSeconds));
          progress.show(`${message} (about ${left >= 90 ? `${Math.round(left / 60)} min` : `${left} s`} left)`);
        },
      });
    } catch (error) {
      progress.done();
      if (error instanceof CutoverError && rehearsal.rounds.length > 0) {
        error.suggestions.push(`What was measured until then is in ${folder.path}: cutover compare ${folder.path}`);
      }
      throw error;
    }
    progress.done();
    rehearsal.findings = await findingsOf(name, rehearsal, flags['replica-capture']);
    rehearsal.outcome = {} as NonNullable<Rehearsal['outcome']>;
    for (const arm of ARMS) {
      const rows = outcomeOf(model, doneBy(rehearsal, arm));
      rehearsal.outcome[arm] = rows;
      const missed = rows.filter(({ value, target }) => value > target);
      rehearsal.caveats.push(...fidelityCaveats(missed, `outcome-missed-${arm}`));
    }
    rehearsal.finishedAt = new Date().toISOString();
    await folder.save(rehearsal);
    const judgement = judge(rehearsal, latencyReader(folder.path, rehearsal), budget, folder.path);
    await folder.writeText('verdict.json', `${JSON.stringify(judgement, undefined, 2)}\n`);
    this.log(FORMATS.terminal(judgement, process.stdout).trimEnd());
    const exitCode = exitCodeOf(judgement, flags['on-inconclusive']);
    process.exitCode = exitCode;
    return { ...judgement, exitCode };
  }
}

/** What one arm did in all slices of all rounds. */
function doneBy({ rounds }: Rehearsal, arm: Arm): Done {
  const done: Done = { commands: {}, hits: 0, misses: 0 };
  for (const { arms } of rounds) {
    for (const [name, n] of Object.entries(arms[arm].commands ?? {}))
      done.commands[name] = (done.commands[name] ?? 0) + n;
    for (const { hits, misses } of arms[arm].slices) {
      done.hits += hits;
      done.misses += misses;
    }
  }
  return done;
}

const RISK = { error: 100, warning: 10, info: 1 } as const;
const MAX_FINDINGS = 50;

/** What lint says of the capture's scripts and commands for these two servers; nothing of models and stdin. */
async function findingsOf(name: string, { arms }: Rehearsal, replica: boolean): Promise<LintSummary[]> {
  if (name === '-' || name.endsWith('.json')) return [];
  const serverOf = (arm: Arm) => parseServer(`${arms[arm].product}@${arms[arm].version}`);
  const profile = { from: serverOf('baseline'), to: serverOf('candidate'), rollback: false, cluster: false };
  const rules = selectRules(RULES, { hygiene: false, named: [] });
  const { findings } = await lintPaths([name], { profile, rules, replica });
  const summaries = new Map<string, LintSummary>();
  for (const { code, rule, severity, message, fix, calls = 1 } of findings) {
    const key = `${code} ${message}`;
    const known = summaries.get(key);
    if (known) known.calls += calls;
    else summaries.set(key, { code, rule, severity, message, fix, calls });
  }
  return [...summaries.values()]
    .sort((a, b) => RISK[b.severity] * b.calls - RISK[a.severity] * a.calls)
    .slice(0, MAX_FINDINGS);
}
