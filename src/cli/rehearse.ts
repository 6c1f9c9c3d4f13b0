/** A capture or model, two server specs and a budget → a rehearsal folder and its verdict: what `run` does. */
import { createHash } from 'node:crypto';
import { copyFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { addServerCounts, type ServerCounts } from '../capture/server-counts.ts';
import { hasExpired } from '../compare/allowances.ts';
import { type Budget, memoryProtocolFor, parseBudget } from '../compare/budget.ts';
import { calibrate } from '../compare/calibration.ts';
import { DEFAULT_BUDGET } from '../compare/default-budget.ts';
import { judge } from '../compare/judge.ts';
import type { Judgement } from '../compare/judgement.ts';
import { decideLook } from '../compare/looks.ts';
import { planSchedule, type Schedule, shortestTime } from '../compare/schedule.ts';
import { capacityCaveat, findSaturation, rateBelow } from '../drive/capacity/saturation.ts';
import { type ClientName, clientsOf } from '../drive/clients/index.ts';
import { clusterCaveats } from '../drive/cluster/cluster.ts';
import { conduct } from '../drive/conductor.ts';
import { defaultWorkers } from '../drive/driver.ts';
import { canHaveMemoryProtocol, MEMORY_ROUND_SECONDS, MEMORY_ROUNDS } from '../drive/memory-protocol.ts';
import { choosePacing, type Pacing } from '../drive/thread/pacer.ts';
import { CutoverError } from '../errors.ts';
import {
  createFolder,
  latencyReader,
  loadFolder,
  type RehearsalFolder,
  reopenFolder,
  type StoredRehearsal,
} from '../measure/folder.ts';
import { describeMachine } from '../measure/machine.ts';
import { ARMS, type Arm, type CalibrationSummary, type MemoryProtocol, type Rehearsal } from '../measure/rehearsal.ts';
import { waitCaveats } from '../measure/waits.ts';
import { buildHalves, buildModel } from '../model/build.ts';
import type { Model } from '../model/model.ts';
import type { Overrides } from '../model/overrides/overrides.ts';
import { fidelityCaveats, fidelityOf } from '../plan/fidelity/fidelity.ts';
import { type Done, outcomeOf } from '../plan/fidelity/outcome.ts';
import { isWholeCapture } from '../plan/length.ts';
import { capturedRateOf, checkMode, openWorkload, type WorkloadRequest } from '../plan/mode.ts';
import { reportHtml } from '../report/html.ts';
import { assertUsable, choosePriority, resolveSpecs } from '../servers/index.ts';
import type { Priority } from '../servers/priority.ts';
import type { ServerLimits } from '../servers/server.ts';
import { lintForServers } from './lint-summary.ts';
import type { Progress } from './progress.ts';
import { RunView } from './run-view.ts';
import { type AskedShard, assertShardable, openShard, startOf } from './shard.ts';
import type { Rate } from './workload-flags.ts';

type Specs = Record<Arm, string>;

/** What only becomes known as a run begins, and is needed to repeat it. */
interface Resolved {
  specs: Specs;
  /** Ops per second. */
  rate: number;
  epochSeconds: number;
  workers: number;
}

export interface RehearseOptions
  extends Pick<WorkloadRequest, 'mode' | 'keys' | 'source' | 'seed' | 'replica' | 'datasetBytes'> {
  version: string;
  specs: Specs;
  limits: ServerLimits;
  /** Without a text, the default budget. */
  budget: { name: string; text?: string | undefined };
  rate: Rate | 'max';
  /** At most; undefined: as many as the budget looks at, or five. */
  rounds?: number | undefined;
  /** For all rounds together: plans their number, slices and looks instead of the options for these. */
  timeSeconds?: number | undefined;
  /** Rounds of the baseline against itself before the first; undefined: what the schedule finds room for. */
  calibrationRounds?: number | undefined;
  slicePairs: number;
  sliceSeconds: number;
  warmupSeconds: number;
  /** Unix time that planned times begin at; undefined: now. */
  epochSeconds?: number | undefined;
  client: ClientName | 'both';
  workers?: number | undefined;
  priority?: Priority | 'auto';
  pacing?: Pacing | 'auto';
  /** RESP version of the raw client. */
  protocol?: 2 | 3;
  allowNonempty: boolean;
  /** Undefined: what the budget judges needs. */
  memoryProtocol?: MemoryProtocol | undefined;
  scripts?: string | undefined;
  overrides?: { overrides?: Overrides };
  output?: string | undefined;
  /** The part to drive of a plan that several machines drive. */
  shard?: AskedShard | undefined;
  /** Folder of a run that was stopped or killed, to go on with instead of beginning a new one. */
  resume?: string | undefined;
  /** The command line that repeats the run. */
  command: (resolved: Resolved) => string;
  signal: AbortSignal;
  progress: Progress;
  /** A line for the user, besides progress. */
  say: (line: string) => void;
}

/** Rehearses and judges. Throws CutoverError; what was measured before that is in the folder, and the error says so. */
export async function rehearse(options: RehearseOptions): Promise<StoredRehearsal & { judgement: Judgement }> {
  const { source, mode, keys, seed, replica, datasetBytes, limits, client, allowNonempty, signal, progress, say } =
    options;
  // Everything that can be wrong with the arguments is found before a long capture is read.
  const resumed = options.resume === undefined ? undefined : await reopenFolder(options.resume);
  const budgetText = resumed?.stored.budgetText ?? options.budget.text ?? DEFAULT_BUDGET;
  const budget = parseBudget(budgetText, options.budget.name);
  const today = new Date().toISOString();
  for (const { id, expires } of budget.allowed.filter((entry) => hasExpired(entry, today))) {
    say(`${id} of the budget's allow-list expired on ${expires}: the run will fail by it`);
  }
  checkMode({ mode, keys, source, ...options.overrides });
  if (mode === 'exact' && options.rate === 'max') throw cannotSearch();
  const { specs, note } = await resolveSpecs(options.specs);
  if (note) say(note);
  const [resumes, searches] = [resumed !== undefined, options.rate === 'max'];
  if (options.shard) assertShardable(options.shard, specs, { resumes, searches });
  for (const spec of new Set(Object.values(specs))) await assertUsable(spec, limits, allowNonempty);

  const buildOptions = {
    replica,
    ...(options.scripts ? { scripts: options.scripts } : {}),
    ...options.overrides,
    keepKeys: mode === 'exact',
    onProgress: (lines: number) => progress.show(`reading ${source}: ${lines.toLocaleString('en')} lines`),
  };
  const { model, caveats, halves, captured } = await buildModel(source, buildOptions);
  const fidelity =
    mode === 'modelled' ? fidelityOf(model, halves ?? (await buildHalves([source], model, buildOptions))) : [];
  const capturedRate = capturedRateOf(mode, model);
  const { shard: asked } = options;
  const startAtMs = asked ? startOf(asked) : Date.now();
  if (asked) say(`shard ${asked.number} of ${asked.count} begins at ${new Date(startAtMs).toISOString()}`);
  const epochSeconds = options.epochSeconds ?? Math.floor(startAtMs / 1000);
  const { slicePairs, warmupSeconds } = options;
  const workers = options.workers ?? defaultWorkers();
  const { priority: askedPriority = 'auto', pacing: askedPacing = 'auto' } = options;
  const priority = choosePriority(askedPriority, Object.values(specs));
  const pacing = askedPacing === 'auto' ? choosePacing(workers, priority) : askedPacing;
  const capacity =
    options.rate === 'max'
      ? await findSaturation({
          workload: await openWorkload({
            ...{ mode, keys, source, model, seed, epochSeconds, rate: capturedRate, replica, datasetBytes },
            seconds: 0,
          }),
          ...{ specs, limits, signal, driving: { client: clientsOf(client)[0], workers, pacing } },
          onStage: (doing) => progress.show(doing),
        })
      : undefined;
  const wanted = capacity ? rateBelow(capacity) : (options.rate as Rate)(capturedRate);
  // As the command line that repeats the run has it: the same rate is the same bytes.
  const rate = Number(wanted.toPrecision(6));
  const { calibrationRounds, rounds, sliceSeconds, looks } = scheduleOf(options, budget, rate);
  const whole = await openWorkload({
    ...{ mode, keys, source, model, captured, seed, epochSeconds, rate, replica, datasetBytes },
    seconds: warmupSeconds + slicePairs * sliceSeconds,
  });
  const timing = { startAtMs, slicePairs, sliceSeconds, warmupSeconds };
  const shard = asked && openShard(asked, whole, timing, { mode, keys, epochSeconds });
  const workload = shard?.workload ?? whole;
  const modelText = `${JSON.stringify(model)}\n`;
  if (resumed && resumed.stored.modelText !== modelText) throw otherWorkload(resumed.path, source);
  const folder = resumed ?? (await createFolder(options.output));
  if (!resumed) {
    await folder.writeText('model.json', modelText);
    await folder.writeText('budget.yaml', budgetText);
  }
  const rehearsal: Rehearsal = resumed?.stored.rehearsal ?? {
    schema: 'cutover/rehearsal@1',
    cutover: options.version,
    node: process.version,
    startedAt: new Date().toISOString(),
    command: options.command({ specs, rate, epochSeconds, workers }),
    seed,
    settings: {
      ...{ rounds, slicePairs, sliceSeconds, warmupSeconds },
      ...(looks ? { looks } : {}),
      // The servers of shards are not ours: their memory is not judged.
      memoryProtocol: asked ? 'off' : (options.memoryProtocol ?? memoryProtocolFor(budget)),
      ...{ rate, capturedRate, connections: whole.plan.connections.length, workers, priority, pacing },
      ...(options.protocol ? { protocol: options.protocol } : {}),
    },
    ...(shard ? { shard: shard.document } : {}),
    machine: describeMachine(),
    files: { model: 'model.json', budget: 'budget.yaml' },
    budgetSha256: createHash('sha256').update(budgetText).digest('hex'),
    client,
    arms: {} as Rehearsal['arms'],
    configDifferences: [],
    rounds: [],
    caveats: [
      ...(capacity ? [capacityCaveat(capacity)] : []),
      ...caveats,
      ...workload.caveats,
      ...fidelityCaveats(fidelity.filter((row) => row.outcome === 'missed')),
    ],
    ...(capacity ? { capacity } : {}),
    fidelity: fidelity.map(({ chance: _, ...row }) => row),
  };
  const judgeSaved = async (path: string) => {
    const stored = await loadFolder(path);
    return { ...stored, judgement: judge(stored.rehearsal, stored.latencyOf, budget, path) };
  };
  const drive = async (into: RehearsalFolder, document: Rehearsal, servers: Specs) => {
    using view = new RunView(progress, document, canHaveMemoryProtocol(servers, limits), () => judgeSaved(into.path));
    await conduct({
      ...{ rehearsal: document, workload, specs: servers, limits, client, allowNonempty, signal },
      mayFallBack: askedPriority === 'auto',
      save: async (state) => {
        await into.save(state);
        await view.saved();
      },
      writeLog: (path, text) => into.writeText(path, text),
      // The captured ops that an exact workload would go on with may be its last.
      repeats: mode === 'exact' || shard ? 0 : MAX_REPEATS,
      schedule: shard?.schedule,
      // One shard cannot decide for the others.
      isDecided: async () =>
        !shard && (decideLook(document, latencyReader(into.path, document), budget)?.stop ?? false),
      onStage: (stage) => view.begin(stage),
      onSlice: (arm, entries) => view.measured(arm, entries),
    });
  };
  try {
    if (calibrationRounds > 0 && !rehearsal.calibration && !shard) {
      say(`first ${calibrationRounds} rounds of the baseline against itself: what can this host resolve?`);
      rehearsal.calibration = await calibrateFirst(folder, rehearsal, calibrationRounds, budget, (into, document) =>
        drive(into, document, { baseline: specs.baseline, candidate: specs.baseline }),
      );
    }
    await drive(folder, rehearsal, specs);
  } catch (error) {
    if (error instanceof CutoverError && rehearsal.rounds.length > 0) {
      await folder.writeText('report.html', reportHtml(await judgeSaved(folder.path)));
      error.suggestions.push(
        `What was measured until then is in ${folder.path} (look at report.html): cutover compare ${folder.path}`,
        ...(shard ? [] : [`Go on with it: cutover run --resume ${folder.path}`]),
      );
    }
    throw error;
  }
  rehearsal.findings = await lintForServers(source, rehearsal.arms, replica);
  rehearsal.outcome = {} as NonNullable<Rehearsal['outcome']>;
  const speed = rate / capturedRate;
  const isWhole = isWholeCapture(model, [warmupSeconds * speed, (warmupSeconds + slicePairs * sliceSeconds) * speed]);
  const missed = ARMS.flatMap((arm) => {
    const rows = outcomeOf(model, { ...doneBy(rehearsal, arm), bytesPerKey: bytesPerKey(rehearsal, arm, model) });
    rehearsal.outcome![arm] = rows;
    return rows.filter(({ value, target }) => value > target).map((row) => ({ ...row, aspect: arm }));
  });
  const waits = waitCaveats(rehearsal.rounds);
  const others = waits.map(({ id }) => `that keys expired while an arm waited (${id})`);
  rehearsal.caveats.push(...fidelityCaveats(missed, { id: 'outcome-missed', speed, whole: isWhole, others }), ...waits);
  if (shard) shard.document.clockOffsetMs = shard.schedule.clockOffsetMs;
  rehearsal.caveats.push(...clusterCaveats(slicesOf(rehearsal)), ...(shard?.workload.sliceCaveats() ?? []));
  rehearsal.caveats.push(...(shard?.schedule.caveats() ?? []));
  rehearsal.finishedAt = new Date().toISOString();
  await folder.save(rehearsal);
  const judged = await judgeSaved(folder.path);
  // A part is not judged: `cutover merge` judges the whole.
  if (shard) return judged;
  await folder.writeText('verdict.json', `${JSON.stringify(judged.judgement, undefined, 2)}\n`);
  await folder.writeText('report.html', reportHtml(judged));
  return judged;
}

const CALIBRATION_FOLDER = 'calibration';

/** Runs rounds of the baseline against itself, in the slots that both arms will have, into a folder of their own. */
async function calibrateFirst(
  { path }: RehearsalFolder,
  rehearsal: Rehearsal,
  rounds: number,
  budget: Budget,
  drive: (into: RehearsalFolder, document: Rehearsal) => Promise<void>,
): Promise<CalibrationSummary> {
  const own = join(path, CALIBRATION_FOLDER);
  // What a run that is resumed left of it is too little to go on with.
  await rm(own, { recursive: true, force: true });
  const into = await createFolder(own);
  for (const name of Object.values(rehearsal.files)) await copyFile(join(path, name), join(own, name));
  const { looks: _, ...settings } = rehearsal.settings;
  const document: Rehearsal = {
    ...rehearsal,
    startedAt: new Date().toISOString(),
    settings: { ...settings, rounds, memoryProtocol: 'off' },
    rounds: [],
    caveats: [],
  };
  await drive(into, document);
  document.finishedAt = new Date().toISOString();
  await into.save(document);
  const planned = { ...document, settings: { ...document.settings, rounds: rehearsal.settings.rounds } };
  const { rounds: judged, rules, biased } = calibrate(planned, latencyReader(own, document), budget);
  const unresolvable = rules.flatMap(({ resolvable, asked, message }) => (resolvable > asked ? [message] : []));
  return { folder: CALIBRATION_FOLDER, rounds: judged, biased, unresolvable };
}

const DEFAULT_ROUNDS = 5;
const MAX_REPEATS = 2;

/** How many rounds there are at most, how long their slices, and after which it is looked whether the verdict is in. */
function scheduleOf(options: RehearseOptions, budget: Budget, rate: number): Schedule {
  const { looks } = budget;
  const { timeSeconds, sliceSeconds, rounds: asked } = options;
  const protocol = options.memoryProtocol ?? memoryProtocolFor(budget);
  const hasFull = protocol === 'full' && canHaveMemoryProtocol(options.specs, options.limits);
  if (timeSeconds !== undefined) {
    const memorySeconds = hasFull ? MEMORY_ROUNDS * MEMORY_ROUND_SECONDS : 0;
    const schedule = planSchedule(timeSeconds - memorySeconds, { ...options, rate });
    if (schedule) return schedule;
    const least = Math.ceil(shortestTime(options) + memorySeconds);
    throw new CutoverError(
      'usage',
      'E_USAGE',
      `In ${timeSeconds} s there is no room for three rounds, the fewest that give an interval.`,
      `Give it --time ${least}s or more; ten minutes are a good start.`,
    );
  }
  const calibrationRounds = options.calibrationRounds ?? 0;
  const rounds = asked ?? looks?.rounds.at(-1) ?? DEFAULT_ROUNDS;
  if (!looks) return { calibrationRounds, rounds, sliceSeconds };
  return {
    calibrationRounds,
    rounds,
    sliceSeconds,
    looks: { ...looks, rounds: [...looks.rounds.filter((look) => look < rounds), rounds] },
  };
}

function cannotSearch(): CutoverError {
  return new CutoverError(
    'usage',
    'E_USAGE',
    '--rate max searches with rates that no capture is long enough for in --mode exact.',
    'Search with --mode modelled, and give --mode exact a rate below what was found.',
  );
}

function otherWorkload(path: string, source: string): CutoverError {
  return new CutoverError(
    'usage',
    'E_RESUME',
    `${source} no longer gives the model that ${path} was begun with.`,
    'Go on in the folder, with the capture and with the version of cutover that it was begun with; or start a new run.',
  );
}

const slicesOf = ({ rounds }: Rehearsal) => rounds.flatMap(({ arms }) => ARMS.flatMap((arm) => arms[arm].slices));

/** What the keys that a round began with took; undefined if the arm is no server like the captured one, which spends as much. */
function bytesPerKey({ arms, rounds }: Rehearsal, arm: Arm, { source }: Model): number | undefined {
  const { product, version } = arms[arm];
  const [release] = /^\d+\.\d+/.exec(version) ?? [''];
  if (!source.server.startsWith(`${product} ${release}.`)) return undefined;
  const own = rounds.flatMap((round) => {
    const { preload, memory } = round.arms[arm];
    const before = arms[arm].provider === 'url' ? (memory.start?.dataBytes ?? 0) : 0;
    const bytes = memory.fill?.dataBytes;
    return bytes === undefined || preload.keys === 0 ? [] : (bytes - before) / preload.keys;
  });
  return own.length === 0 ? undefined : own.reduce((sum, bytes) => sum + bytes, 0) / own.length;
}

/** What one arm did in all slices of all rounds. */
function doneBy({ rounds }: Rehearsal, arm: Arm): Done {
  // An error that only the other arm had is one that this arm had no time.
  const words = rounds.flatMap(({ arms }) => ARMS.flatMap((each) => Object.keys(arms[each].errors ?? {})));
  const none = Object.fromEntries(words.map((word) => [word, 0]));
  const counts = rounds.flatMap(({ arms }): ServerCounts[] => {
    const { commands, failed, errors } = arms[arm];
    return commands ? [{ calls: commands, failed, errors: errors && { ...none, ...errors } }] : [];
  });
  const done: Done = { ...addServerCounts(counts), hits: 0, misses: 0, committed: 0, aborted: 0 };
  for (const { arms } of rounds) {
    for (const { hits, misses, transactions } of arms[arm].slices) {
      done.hits += hits;
      done.misses += misses;
      done.committed += transactions?.committed ?? 0;
      done.aborted += transactions?.aborted ?? 0;
    }
  }
  return done;
}
