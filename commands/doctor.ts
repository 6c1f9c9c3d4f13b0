/** This machine → whether a rehearsal can run and measure here, and for each lack the cure. */
import { styleText } from 'node:util';
import { Flags } from '@oclif/core';
import { BaseCommand } from '../src/cli/base-command.ts';
import { calibrateHost, type HostCalibration } from '../src/cli/calibrate-host.ts';
import { commandLine } from '../src/cli/command-line.ts';
import { interruptSignal } from '../src/cli/interrupt.ts';
import { Progress } from '../src/cli/progress.ts';
import { readBudget } from '../src/cli/verdict-flags.ts';
import { rateFlag, sampleCapture, secondsFlag } from '../src/cli/workload-flags.ts';
import { percent } from '../src/compare/wording.ts';
import { measureGeneratorCapacity } from '../src/drive/capacity/floor.ts';
import { defaultWorkers } from '../src/drive/driver.ts';
import { choosePacing } from '../src/drive/thread/pacer.ts';
import { EXIT_CODES } from '../src/errors.ts';
import { availableMemoryBytes, probeJitter, probeTimer, readKernelSettings } from '../src/measure/host.ts';
import { describeMachine } from '../src/measure/machine.ts';
import { findServerSources, installAdvice } from '../src/servers/index.ts';
import { realtimeRefusal } from '../src/servers/priority.ts';

/** `fail`: no rehearsal can run here. `warn`: it can, and measures worse. */
type Status = 'ok' | 'warn' | 'fail';

interface Check {
  id: string;
  status: Status;
  message: string;
  /** What to do, a step a line. */
  cure?: string;
  numbers?: Record<string, number>;
}

export interface Diagnosis {
  schema: 'cutover/doctor@1';
  checks: Check[];
  ready: boolean;
  calibration?: HostCalibration;
}

const MINIMUM_NODE = 24;
const ADVISED_CORES = 4;
const ADVISED_MEMORY_BYTES = 2 * 1024 ** 3;
const JITTER_MS = 700;
const TIMER_SAMPLES = 200;
/** A host that delays one op in a thousand by more than this hides the P99.9 of any cache. */
const TOLERABLE_DELAY_US = 1000;
const TOLERABLE_TIMER_US = 10_000;
/** A generator that cannot do this has no core to run on. */
const TOLERABLE_CAPACITY = 10_000;
const WIDTH = 80;

export default class Doctor extends BaseCommand {
  static override summary = 'Say whether this machine can run and measure a rehearsal, and how to cure what it lacks.';
  static override description =
    `Without --calibrate it starts and pulls nothing, and keeps the cores busy for some seconds.
With it, the baseline is rehearsed against itself: whether one arm's slots are faster, what change this host can resolve, and, over all calibrations of this user's here, how often equal servers were called different.
Exit codes: 0 a rehearsal can run here, 3 it cannot, 5 it can and one arm's slots are faster.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --json',
    '<%= config.bin %> <%= command.id %> --calibrate --rounds 6 --budget budget.yaml',
  ];
  static override flags = {
    calibrate: Flags.boolean({ description: 'rehearse the baseline against itself (about two minutes)' }),
    baseline: Flags.string({
      char: 'b',
      description: 'server to calibrate with',
      default: 'redis',
      env: 'CUTOVER_BASELINE',
    }),
    budget: Flags.string({ description: 'budget whose margins are asked for; without it, the default budget' }),
    rounds: Flags.integer({ description: 'rounds of fresh servers', default: 6, min: 2, max: 50 }),
    slice: secondsFlag('length of a slice', 3),
    rate: rateFlag(),
    output: Flags.string({ char: 'o', description: 'rehearsal folder to create; default: rehearsals/TIME' }),
  };

  async run(): Promise<Diagnosis> {
    const { flags } = await this.parse(Doctor);
    const checks = [
      checkNode(),
      ...checkMachine(),
      ...(await checkServers()),
      ...(await checkClock()),
      ...checkKernel(),
    ];
    const ready = checks.every(({ status }) => status !== 'fail');
    if (ready) checks.push(...(await checkGenerator()));
    for (const check of checks) this.log(render(check));
    const warnings = checks.filter(({ status }) => status === 'warn').length;
    const reservation =
      warnings > 0 ? `; ${warnings} ${warnings === 1 ? 'point' : 'points'} above may cost precision` : '';
    this.log(ready ? `\nA rehearsal can run here${reservation}.` : '\nNo rehearsal can run here yet.');
    if (!ready) process.exitCode = EXIT_CODES.cannotRun.code;
    if (!ready || !flags.calibrate) return { schema: 'cutover/doctor@1', checks, ready };
    const calibration = await calibrateHost({
      ...{ source: sampleCapture(), mode: 'modelled', keys: undefined, rate: flags.rate, seed: '1', replica: false },
      ...{ version: this.config.version, client: 'raw', limits: {}, allowNonempty: false },
      specs: { baseline: flags.baseline, candidate: flags.baseline },
      budget: { name: flags.budget ?? 'default budget', text: flags.budget && (await readBudget(flags.budget)) },
      ...{ rounds: flags.rounds, slicePairs: 2, sliceSeconds: flags.slice, warmupSeconds: 1, output: flags.output },
      command: ({ rate }) => commandLine('doctor', [], { ...flags, rate, slice: `${flags.slice}s` }),
      ...{ signal: interruptSignal(), progress: new Progress(this.jsonEnabled()) },
      say: (line) => this.logToStderr(line),
    });
    for (const check of checksOf(calibration)) this.log(render(check));
    if (calibration.biased.length > 0) process.exitCode = EXIT_CODES.invalid.code;
    return { schema: 'cutover/doctor@1', checks, ready, calibration };
  }
}

/** What rounds of a server against itself say, in the form of the other checks. */
function checksOf({ rules, biased, rounds, falseAlarms, rehearsal }: HostCalibration): Check[] {
  const cure = 'Close what else runs here, use a host with more cores, or plan more rounds.';
  const { runs, fails, low, high } = falseAlarms;
  return [
    ...rules.map(({ id, message, resolvable, asked, sd }): Check => {
      const able = resolvable <= asked;
      return {
        ...{ id: `resolves ${id}`, status: able ? 'ok' : 'warn', message },
        ...(able ? {} : { cure }),
        numbers: { resolvable, asked, sd, rounds },
      };
    }),
    ...(rules.length > 0
      ? []
      : [
          {
            id: 'resolves',
            status: 'warn',
            message: `too few of the rounds could be used: see ${rehearsal}`,
            cure,
          } as const,
        ]),
    ...biased.map((message): Check => ({ id: 'bias', status: 'fail', message, cure })),
    {
      id: 'false-alarms',
      status: 'ok',
      message: `equal servers were called different in ${fails} of ${runs} calibrations here (between ${percent(low)} and ${percent(high)} with 95 % confidence)`,
      numbers: { runs, fails, low, high },
    },
  ];
}

function checkNode(): Check {
  const { node } = process.versions;
  if (Number.parseInt(node, 10) >= MINIMUM_NODE) return { id: 'node', status: 'ok', message: `Node ${node}` };
  return {
    id: 'node',
    status: 'fail',
    message: `Node ${node} is too old`,
    cure: `Install Node ${MINIMUM_NODE} or newer: https://nodejs.org/en/download`,
  };
}

function checkMachine(): Check[] {
  const { cpu, cores } = describeMachine();
  const available = availableMemoryBytes();
  const gib = (bytes: number) => (bytes / 1024 ** 3).toFixed(1);
  const enough = cores >= ADVISED_CORES;
  const roomy = available >= ADVISED_MEMORY_BYTES;
  return [
    {
      id: 'cores',
      status: enough ? 'ok' : 'warn',
      message: `${cores} ${cores === 1 ? 'core' : 'cores'} (${cpu})`,
      ...(enough
        ? {}
        : {
            cure: `${ADVISED_CORES} or more let generator, server and kernel each have their own; with fewer they take time from each other, and a lower --rate measures better.`,
          }),
      numbers: { cores, advisedCores: ADVISED_CORES },
    },
    {
      id: 'memory',
      status: roomy ? 'ok' : 'warn',
      message: `${gib(available)} GiB of memory available`,
      ...(roomy
        ? {}
        : { cure: 'Both servers hold the whole dataset at once: free some memory, or use a smaller model.' }),
      numbers: { availableBytes: available },
    },
  ];
}

/** Containers or binaries: one of them must be there for both products. */
async function checkServers(): Promise<Check[]> {
  const { engine, products, orphans } = await findServerSources();
  const imagesMissing = products.filter(({ imageHere }) => !imageHere).map(({ image }) => image);
  const binariesMissing = products.filter(({ binaryPath }) => !binaryPath).map(({ binary }) => binary);
  const usableBinaries = binariesMissing.length === 0;
  const lack: Status = usableBinaries || !engine.problem ? 'warn' : 'fail';
  const checks: Check[] = [
    engine.problem !== undefined
      ? {
          id: 'engine',
          status: lack,
          message: `no container engine: ${engine.problem}`,
          cure: engine.advice.join('\n'),
        }
      : { id: 'engine', status: 'ok', message: `container engine ${engine.version}` },
  ];
  if (!engine.problem) {
    checks.push(
      imagesMissing.length === 0
        ? { id: 'images', status: 'ok', message: `images ${products.map(({ image }) => image).join(', ')}` }
        : {
            id: 'images',
            status: 'warn',
            message: `not pulled yet: ${imagesMissing.join(', ')}`,
            cure: [
              'The first run pulls them, or does without. By hand:',
              ...imagesMissing.map((image) => `docker pull ${image}`),
            ].join('\n'),
          },
    );
  }
  if (orphans.length > 0) {
    checks.push({
      id: 'leftovers',
      status: 'warn',
      message: `${orphans.length} ${orphans.length === 1 ? 'container of a run that was' : 'containers of runs that were'} killed ${orphans.length === 1 ? 'was' : 'were'} left behind`,
      cure: `The next run with containers removes them. By hand: docker rm --force --volumes ${orphans.map((id) => id.slice(0, 12)).join(' ')}`,
      numbers: { containers: orphans.length },
    });
  }
  for (const { binary, binaryPath, version } of products) {
    checks.push(
      binaryPath
        ? { id: binary, status: 'ok', message: `${binary} ${version ?? ''} (${binaryPath})` }
        : { id: binary, status: lack, message: `${binary} is not on PATH`, cure: installAdvice([binary]).join('\n') },
    );
  }
  return checks;
}

async function checkClock(): Promise<Check[]> {
  const timer = await probeTimer(TIMER_SAMPLES);
  const jitter = probeJitter(JITTER_MS);
  const ms = (us: number) => `${(us / 1000).toFixed(us < 10_000 ? 2 : 0)} ms`;
  const quiet = jitter.delayP999Us <= TOLERABLE_DELAY_US;
  const punctual = timer.maxUs <= TOLERABLE_TIMER_US;
  return [
    {
      id: 'timer',
      status: punctual ? 'ok' : 'warn',
      message: `timers late by ${ms(timer.p50Us)} (median), ${ms(timer.maxUs)} (worst of ${TIMER_SAMPLES})`,
      ...(punctual ? {} : { cure: 'The event loop is held up: stop what else runs here.' }),
      numbers: { p50Us: timer.p50Us, maxUs: timer.maxUs },
    },
    {
      id: 'host-jitter',
      status: quiet ? 'ok' : 'warn',
      message: `a busy core waits ${ms(jitter.delayP999Us)} (P99.9), ${ms(jitter.maxGapUs)} at most; ${(jitter.lostShare * 100).toFixed(1)} % lost`,
      ...(quiet
        ? {}
        : {
            cure: 'Others use these cores (neighbours of a virtual machine, other programs): no P99.9 below that can be told.',
          }),
      numbers: { ...jitter },
    },
  ];
}

/** What the load threads can do here when the server costs nothing, and whether they may go before other threads. */
async function checkGenerator(): Promise<Check[]> {
  const workers = defaultWorkers();
  const opsPerSecond = await measureGeneratorCapacity({
    client: 'raw',
    workers,
    pacing: choosePacing(workers, 'normal'),
  });
  const refusal = realtimeRefusal();
  const able = opsPerSecond >= TOLERABLE_CAPACITY;
  const thousands = (ops: number) => Math.round(ops / 1000).toLocaleString('en');
  return [
    {
      id: 'generator',
      status: able ? 'ok' : 'warn',
      message: `the load generator keeps up to ${thousands(opsPerSecond)},000 ops/s here (${workers} ${workers === 1 ? 'thread' : 'threads'}); measure below ${thousands(opsPerSecond / 2)},000`,
      ...(able ? {} : { cure: 'Free the machine of other work, or give it more cores.' }),
      numbers: { opsPerSecond, workers },
    },
    refusal === undefined
      ? { id: 'priority', status: 'ok', message: 'real-time priority is permitted: less noise in the tail' }
      : {
          id: 'priority',
          status: 'warn',
          message: `no real-time priority: ${refusal}`,
          cure: 'The tail is several times as noisy without it. Run as root, or grant CAP_SYS_NICE or an rtprio limit.',
        },
  ];
}

function checkKernel(): Check[] {
  const { hugepages, governor } = readKernelSettings();
  const checks: Check[] = [];
  if (hugepages) {
    const always = hugepages === 'always';
    checks.push({
      id: 'hugepages',
      status: always ? 'warn' : 'ok',
      message: `transparent huge pages: ${hugepages}`,
      ...(always
        ? {
            cure: 'They inflate memory and stall on copies: echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled',
          }
        : {}),
    });
  }
  if (governor) {
    const steady = governor === 'performance';
    checks.push({
      id: 'governor',
      status: steady ? 'ok' : 'warn',
      message: `CPU frequency governor: ${governor}`,
      ...(steady ? {} : { cure: 'The clock changes with the load: sudo cpupower frequency-set -g performance' }),
    });
  }
  return checks;
}

const MARKS = { ok: ['green', '✓'], warn: ['yellow', '!'], fail: ['red', '✗'] } as const;

function render({ status, message, cure }: Check): string {
  const [colour, mark] = MARKS[status];
  const lines = [...wrap(message, '  '), ...(cure?.split('\n') ?? []).flatMap((line) => wrap(line, '    '))];
  return `${styleText(colour, mark)} ${lines.join('\n').trimStart()}`;
}

/** Lines of at most WIDTH columns, each behind the indent; a word that is longer stays whole, to be copied. */
function wrap(text: string, indent: string): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= WIDTH) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(indent + word);
  }
  return lines;
}
