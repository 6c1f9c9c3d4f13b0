/** The main job: a workload, two servers and a budget → a rehearsal folder and a verdict. */
import { join, relative } from 'node:path';
import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../src/cli/base-command.ts';
import { commandLine, commandWords } from '../src/cli/command-line.ts';
import { interruptSignal } from '../src/cli/interrupt.ts';
import { overridesFlag, readOverrides } from '../src/cli/overrides-flag.ts';
import { Progress } from '../src/cli/progress.ts';
import { rehearse } from '../src/cli/rehearse.ts';
import { askedShard, describeShard, type ShardSummary, shardFlags, summarizeShard } from '../src/cli/shard.ts';
import { exitCodeOf, onInconclusiveFlag, readBudget } from '../src/cli/verdict-flags.ts';
import {
  bytesFlag,
  coresFlag,
  datasetLimitFlag,
  keysFlag,
  lengthFlag,
  modeFlag,
  sampleCapture,
  searchableRateFlag,
  secondsFlag,
} from '../src/cli/workload-flags.ts';
import type { Judgement } from '../src/compare/judgement.ts';
import { CLIENTS, type ClientName } from '../src/drive/clients/index.ts';
import { PACINGS } from '../src/drive/thread/pacer.ts';
import { CutoverError } from '../src/errors.ts';
import { loadFolder } from '../src/measure/folder.ts';
import { MEMORY_PROTOCOLS } from '../src/measure/rehearsal.ts';
import { printable } from '../src/printable.ts';
import { FORMATS } from '../src/report/index.ts';
import { withoutCredentials } from '../src/servers/index.ts';

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
    rate: searchableRateFlag(),
    mode: modeFlag({ default: 'modelled' }),
    keys: keysFlag(),
    rounds: Flags.integer({
      description:
        'rounds of fresh servers, the unit of replication; fewer where the budget plans looks and one decides',
      defaultHelp: async () => "the budget's last look, or 5",
      min: 1,
      max: 200,
    }),
    time: lengthFlag({
      description: 'how long the rounds may take together (10m): plans their number, their slices and early looks',
      exclusive: ['rounds', 'slice'],
    }),
    calibration: Flags.integer({
      description:
        'rounds of the baseline against itself before the first: position bias, and what this host can resolve',
      defaultHelp: async () => '0; 3 where --time has room for them',
      min: 2,
      max: 50,
    }),
    'slice-pairs': Flags.integer({ description: 'slices per arm and round', default: 2, min: 1, max: 20 }),
    slice: secondsFlag('length of a slice', 3),
    warmup: secondsFlag('load on each arm before the first slice of a round', 1),
    seed: Flags.string({ description: 'same seed, same workload', default: '1' }),
    epoch: Flags.integer({ description: 'Unix time in seconds that planned times begin at; default: now' }),
    client: Flags.option({
      options: [...(Object.keys(CLIENTS) as ClientName[]), 'both' as const],
      description:
        'what sends the load, to both arms; both: ioredis and iovalkey in turn, and what the change of client does apart from that of the server',
    })({ default: 'raw' }),
    workers: Flags.integer({ description: 'load threads; default: by the number of cores', min: 1, max: 64 }),
    priority: Flags.option({
      options: ['auto', 'realtime', 'normal'] as const,
      description:
        'scheduling of load threads and of both servers, always alike; auto: realtime (SCHED_FIFO, several times less noise in the tail) where it is permitted and the servers are ours',
    })({ default: 'auto' }),
    pacing: Flags.option({
      options: ['auto', ...PACINGS] as const,
      description:
        'how load threads wait for the next op: nap (short sleeps), split (a thread that naps and sends, another that sleeps until replies arrive; raw client without TLS or cluster, else nap) or spin (polling, for machines with a core to spare for each)',
    })({ default: 'auto' }),
    resp: Flags.option({
      options: ['2', '3'] as const,
      description: 'protocol version of the raw client; libraries speak their default',
    })({ default: '2' }),
    memory: bytesFlag({ description: 'memory limit of each container (512mb, 2gb)' }),
    cpus: coresFlag({ description: 'CPU limit of each container, in cores (1.5)' }),
    cpuset: Flags.string({ description: 'cores that each server may use (2-3)' }),
    cluster: Flags.integer({
      description:
        'start clusters of so many primaries instead of single servers; a cluster named by URL is found by itself',
      helpValue: '<primaries>',
      min: 1,
      max: 100,
    }),
    'memory-protocol': Flags.option({
      options: MEMORY_PROTOCOLS,
      description:
        'how memory is measured: quick, beside latency; full, a minute and a half more in each of five rounds, on servers of its own (churn, deletion, refill, snapshot); off',
      defaultHelp: async () => 'what the budget judges needs',
    })(),
    'dataset-limit': datasetLimitFlag,
    scripts: Flags.string({ description: 'folder with Lua files, for scripts whose body is not in the capture' }),
    config: overridesFlag,
    'allow-nonempty': Flags.boolean({
      description: 'use a server by URL though it holds data, which may be overwritten',
    }),
    'replica-capture': Flags.boolean({ description: 'accept the capture of a replica' }),
    ...shardFlags,
    resume: Flags.string({
      description: 'go on with the run of this folder that was stopped or killed; everything else is as it was begun',
      helpValue: '<folder>',
      exclusive: [
        'output',
        'budget',
        'rounds',
        'rate',
        'mode',
        'seed',
        'slice',
        'slice-pairs',
        'warmup',
        'time',
        'shard',
      ],
    }),
    output: Flags.string({ char: 'o', description: 'rehearsal folder to create; default: rehearsals/TIME' }),
    'on-inconclusive': onInconclusiveFlag,
  };

  async run(): Promise<Judgement | ShardSummary> {
    const given = await this.parse(Run);
    const { resume } = given.flags;
    const { args, flags } =
      resume === undefined
        ? given
        : await this.parse(Run, [...(await wordsBegunWith(resume)), ...answersOf(given.raw)]);
    const progress = new Progress(this.jsonEnabled());
    const limits = {
      ...(flags.memory === undefined ? {} : { memoryBytes: flags.memory }),
      ...(flags.cpus === undefined ? {} : { cpus: flags.cpus }),
      ...(flags.cpuset === undefined ? {} : { cpuset: flags.cpuset }),
      ...(flags.cluster === undefined ? {} : { primaries: flags.cluster }),
    };
    if (flags.client === 'both' && flags['slice-pairs'] % 2 !== 0)
      throw new CutoverError(
        'usage',
        'E_USAGE',
        `--client both needs as many slice pairs of one client as of the other, not ${flags['slice-pairs']} in all.`,
        'Give it --slice-pairs 2 or 4.',
      );
    const asked = askedShard(flags, process.env);
    if (asked?.note) this.logToStderr(asked.note);
    const source = args.workload ?? sampleCapture();
    const rehearsed = await rehearse({
      ...{ source, version: this.config.version, client: flags.client, limits, signal: interruptSignal() },
      ...{ mode: flags.mode, keys: flags.keys, rate: flags.rate, seed: flags.seed, epochSeconds: flags.epoch },
      ...{
        timeSeconds: flags.time,
        calibrationRounds: flags.calibration,
        rounds: flags.rounds,
        slicePairs: flags['slice-pairs'],
      },
      ...{ sliceSeconds: flags.slice, warmupSeconds: flags.warmup, workers: flags.workers },
      ...{ priority: flags.priority, pacing: flags.pacing, protocol: flags.resp === '3' ? 3 : 2 },
      specs: { baseline: flags.baseline, candidate: flags.candidate },
      budget: { name: flags.budget ?? 'default budget', text: flags.budget && (await readBudget(flags.budget)) },
      allowNonempty: flags['allow-nonempty'],
      replica: flags['replica-capture'],
      datasetBytes: flags['dataset-limit'],
      memoryProtocol: flags['memory-protocol'],
      scripts: flags.scripts,
      overrides: await readOverrides(flags.config),
      output: flags.output,
      shard: asked?.shard,
      resume,
      command: (resolved) =>
        commandLine('run', [args.workload ?? relative(process.cwd(), source)], {
          baseline: withoutCredentials(resolved.specs.baseline),
          candidate: withoutCredentials(resolved.specs.candidate),
          budget: flags.budget,
          rate: resolved.rate,
          mode: flags.mode,
          keys: flags.keys,
          rounds: flags.rounds,
          calibration: flags.calibration,
          time: flags.time && `${flags.time}s`,
          'slice-pairs': flags['slice-pairs'],
          slice: flags.time ? undefined : `${flags.slice}s`,
          warmup: `${flags.warmup}s`,
          seed: flags.seed,
          epoch: resolved.epochSeconds,
          client: flags.client,
          workers: resolved.workers,
          priority: flags.priority,
          pacing: flags.pacing,
          resp: flags.resp,
          memory: flags.memory,
          cpus: flags.cpus,
          cpuset: flags.cpuset,
          cluster: flags.cluster,
          'memory-protocol': flags['memory-protocol'],
          'dataset-limit': flags['dataset-limit'],
          scripts: flags.scripts,
          config: flags.config,
          'allow-nonempty': flags['allow-nonempty'],
          'replica-capture': flags['replica-capture'],
          ...(asked
            ? { shard: `${asked.shard.number}/${asked.shard.count}`, 'shard-gap': `${flags['shard-gap']}s` }
            : {}),
        }),
      say: (line) => this.logToStderr(line),
      progress,
    });
    if (rehearsed.rehearsal.shard) {
      const summary = summarizeShard(rehearsed.rehearsal.shard, rehearsed.rehearsal, rehearsed.path);
      this.log(describeShard(summary));
      return summary;
    }
    this.log(FORMATS.terminal(rehearsed, process.stdout).trimEnd());
    this.logToStderr(`report  ${printable(join(rehearsed.path, 'report.html'))}`);
    const exitCode = exitCodeOf(rehearsed.judgement, flags['on-inconclusive']);
    process.exitCode = exitCode;
    return { ...rehearsed.judgement, exitCode };
  }
}

/** The words that the run of this folder was begun with. */
async function wordsBegunWith(folder: string): Promise<string[]> {
  return commandWords((await loadFolder(folder)).rehearsal.command).slice(2);
}

/** What a line that goes on says anew: how to answer, and the servers, since the credentials of a URL were not kept. */
const ANEW = ['baseline', 'candidate', 'json', 'on-inconclusive'];

const answersOf = (tokens: ({ type: 'flag'; flag: string; input: string } | { type: 'arg' })[]) =>
  tokens.flatMap((token) =>
    token.type === 'flag' && ANEW.includes(token.flag)
      ? [`--${token.flag}`, ...(token.flag === 'json' ? [] : [token.input])]
      : [],
  );
