/** A server in production → a capture of its workload, recorded without harm. */
import { randomBytes } from 'node:crypto';
import { Args, Flags } from '@oclif/core';
import type { Measured } from '../src/capture/record/burst.ts';
import type { Redaction } from '../src/capture/record/redact.ts';
import { defaultSecretPath, readSecret } from '../src/capture/record/secret.ts';
import { type Recording, record } from '../src/capture/record.ts';
import { BaseCommand } from '../src/cli/base-command.ts';
import { interruptSignal } from '../src/cli/interrupt.ts';
import { Progress } from '../src/cli/progress.ts';
import { bytesFlag, secondsFlag } from '../src/cli/workload-flags.ts';
import { CutoverError, EXIT_CODES } from '../src/errors.ts';
import { explain, parseServerUrl, urlProvider } from '../src/servers/url.ts';

interface Captured extends Recording {
  schema: 'cutover/captured@1';
  /** What to do with it. */
  next: string;
}

/** `10%`, `2.5` → a share. */
const percentFlag = Flags.custom<number>({
  helpValue: '<percent>',
  parse: async (text, _, { name }) => {
    const percent = Number(/^(\d+(?:\.\d+)?)\s*%?$/.exec(text)?.[1]);
    if (percent > 0 && percent <= 100) return percent / 100;
    throw new CutoverError('usage', 'E_USAGE', `--${name} ${text} is no share.`, `Write it like --${name} 10%.`);
  },
});

export default class CaptureCommand extends BaseCommand {
  static override summary =
    'Record what clients send to a server in production, in short bursts of MONITOR, without harm.';
  static override description =
    `MONITOR costs the server CPU for every byte that it prints. The cost is predicted from two seconds of its traffic first, and refused above --max-cost. During a burst a second process watches from outside: it ends MONITOR when this one is stopped, or when the server has to buffer for it. Nothing on the server is changed.
What is written holds no values and no credentials: values become letters of the same number, numbers become other numbers. Keys stay, or are hashed with --keys hash. A sidecar beside the log (NAME.capture.json) holds what the lines cannot tell: INFO before and after, configuration, a sample of the dataset.
The server is redis://, rediss://, valkey://, valkeys:// or unix:/path. A URL with a password shows in the process list: put it into the environment as CUTOVER_CAPTURE instead.
Of a cluster every primary is recorded, each into a file of its own.
Exit codes: 0 recorded (also when it ended early, which is said), 2 usage, 3 refused: too dear, not allowed, or not reachable, 70 bug, 130 interrupted (what was recorded until then is kept).`;
  static override examples = [
    '<%= config.bin %> <%= command.id %> redis://cache.internal:6379 -o app',
    '<%= config.bin %> <%= command.id %> rediss://cache.internal:6380 -o app --for 30s --every 10m --times 6',
    'CUTOVER_CAPTURE=redis://monitor:PASSWORD@cache.internal <%= config.bin %> <%= command.id %> -o app --keys hash',
  ];
  static override args = {
    url: Args.string({ description: 'server to record; without it, what CUTOVER_CAPTURE in the environment holds' }),
  };
  static override flags = {
    output: Flags.string({
      char: 'o',
      description: 'file to write: .monitor.zst is added to a bare name; .gz and .log are other forms',
      defaultHelp: async () => 'capture-TIME.monitor.zst',
    }),
    for: secondsFlag('length of a burst', 30),
    every: secondsFlag("from one burst's beginning to the next", 600),
    times: Flags.integer({ description: 'bursts', default: 1, min: 1, max: 10_000 }),
    'max-cost': percentFlag({
      description: "refuse above this share of the server's main thread",
      default: 0.1,
      defaultHelp: async () => '10%',
    }),
    'max-bytes': bytesFlag({
      description: 'end when the files have grown to this',
      default: 2 ** 30,
      defaultHelp: async () => '1gb',
    }),
    'min-free': bytesFlag({
      description: 'end when less is free on the disk',
      default: 2 ** 30,
      defaultHelp: async () => '1gb',
    }),
    values: Flags.option({ options: ['noise', 'keep'] as const, description: 'what becomes of values' })({
      default: 'noise',
    }),
    keys: Flags.option({ options: ['keep', 'hash'] as const, description: 'what becomes of keys and channels' })({
      default: 'keep',
    }),
    'key-file': Flags.string({
      description: 'secret for --keys hash; made at first use, stays on this machine',
      defaultHelp: async () => '~/.config/cutover/capture.key',
    }),
    sample: Flags.integer({ description: 'keys of the dataset to look at; 0 for none', default: 5000, min: 0 }),
    'replica-capture': Flags.boolean({ description: 'record a replica, knowing what it does not show' }),
    unguarded: Flags.boolean({ description: 'go without the watchdog, where CLIENT KILL is not allowed' }),
  };

  async run(): Promise<Captured> {
    const { args, flags } = await this.parse(CaptureCommand);
    const url = requireUrl(args.url);
    const { address, spec } = parseServerUrl(url);
    if (!urlProvider.accepts(url)) {
      throw new CutoverError('usage', 'E_SERVER_SPEC', `${spec} is no address of a Redis or Valkey server.`, [
        'Write redis://HOST:PORT, rediss://HOST:PORT, valkey://, valkeys:// or unix:/PATH.',
      ]);
    }
    if (flags.times > 1 && flags.every < flags.for) {
      throw new CutoverError('usage', 'E_USAGE', '--every is shorter than --for: bursts would overlap.', [
        '--every counts from the beginning of one burst to the beginning of the next.',
      ]);
    }
    const { 'key-file': keyFile = defaultSecretPath(), keys, values } = flags;
    const progress = new Progress(this.jsonEnabled());
    const signal = interruptSignal();
    let recording: Recording;
    try {
      recording = await record({
        ...{ endpoint: address, spec, output: outputFile(flags.output), signal },
        ...{ forSeconds: flags.for, everySeconds: flags.every, times: flags.times },
        ...{ maxCost: flags['max-cost'], maxBytes: flags['max-bytes'], minFreeBytes: flags['min-free'] },
        // Hashed keys are the same in every capture; noise needs to be the same in this one only.
        redaction: { values, keys, secret: keys === 'hash' ? await readSecret(keyFile) : randomBytes(32) },
        ...{ sampleKeys: flags.sample, replica: flags['replica-capture'], unguarded: flags.unguarded },
        onStage: (text) => progress.show(text),
        onPrediction: (server) => {
          progress.done();
          this.announce(server, flags['max-cost']);
        },
      });
    } catch (error) {
      progress.done();
      throw error instanceof CutoverError ? error : explain(spec, address, error);
    }
    progress.done();
    if (recording.end.reason === 'interrupted') process.exitCode = EXIT_CODES.interrupted.code;
    const next = `cutover model ${recording.files.map(({ path }) => path).join(' ')}`;
    this.log(summarize(recording, { values, keys }, next));
    return { schema: 'cutover/captured@1', ...recording, next };
  }

  private announce({ primary, cost }: Measured, maxCost: number): void {
    if (this.jsonEnabled()) return;
    this.logToStderr(
      cost
        ? `MONITOR takes up to ${percent(cost.share)} of the main thread of ${primary.spec} (${(cost.inputBytesPerSecond / 1e6).toFixed(2)} MB/s and ${count(cost.commandsPerSecond)} commands/s at ${cost.nsPerByte} ns a byte); accepted are ${percent(maxCost)}.`
        : `What MONITOR will cost ${primary.spec} cannot be told: it does not answer INFO.`,
    );
  }
}

const count = (value: number) => Math.round(value).toLocaleString('en');
const percent = (share: number) => `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`;
const size = (bytes: number) => (bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);

function requireUrl(argument: string | undefined): string {
  const url = argument ?? process.env.CUTOVER_CAPTURE;
  if (url) return url;
  throw new CutoverError('usage', 'E_USAGE', 'Which server? No URL is given.', [
    'Name it: cutover capture redis://HOST:PORT, or put it into the environment as CUTOVER_CAPTURE.',
  ]);
}

/** `app` → `app.monitor.zst`; names that say their form stay. */
function outputFile(name: string | undefined): string {
  if (name === undefined) {
    const time = new Date().toISOString().replace(/[-:]|\.\d+Z$/g, '');
    return `capture-${time}.monitor.zst`;
  }
  return /\.(monitor|log|txt|gz|zst)$/.test(name) ? name : `${name}.monitor.zst`;
}

function summarize(
  { files, bursts, caveats }: Recording,
  { values, keys }: Pick<Redaction, 'values' | 'keys'>,
  next: string,
) {
  const blocks = files.map((file) => {
    const { server, path, sidecar, lines, bytes, fileBytes, holds, completeness, cost } = file;
    const facts = [
      `${count(lines)} lines of ${server} in ${bursts} ${bursts === 1 ? 'burst' : 'bursts'}: ${size(bytes)}, ${size(fileBytes)} on disk`,
      `${values === 'noise' ? 'values are noise' : 'values are as they were'}, keys ${keys === 'hash' ? 'are hashed' : 'are as they were'}, credentials are gone`,
    ];
    if (completeness !== undefined)
      facts.push(`complete: ${percent(completeness)} of the commands that the server executed`);
    if (cost?.predicted !== undefined) {
      const observed = cost.observed === undefined ? '' : `, ${percent(cost.observed)} observed`;
      facts.push(`cost: at most ${percent(cost.predicted)} of its main thread predicted${observed}`);
    }
    return [path, ...facts.map((fact) => `  ${fact}`), sidecar, `  ${holds.join(', ')}`].join('\n');
  });
  for (const { message, advice } of caveats) blocks.push(`! ${message}\n  → ${advice}`);
  return [...blocks, `\nNext: ${next}`].join('\n');
}
