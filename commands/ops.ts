/** A capture → its ops as NDJSON. */
import { once } from 'node:events';
import { Args, Flags } from '@oclif/core';
import { Capture } from '../src/capture/read.ts';
import { BaseCommand } from '../src/cli/base-command.ts';

/** Characters that go out as they are; anything else would need an escape that other tools disagree on. */
const PRINTABLE = /^[\x20-\x7e]*$/;

export default class Ops extends BaseCommand {
  static override summary = 'Print the ops of a capture as NDJSON, for other tools.';
  static override description =
    'One line per op: {line, atUs, db, client, kind, args}. An argument is a string where it is printable ASCII, else {"base64": …}. Credentials are replaced by (redacted).';
  static override examples = [
    '<%= config.bin %> <%= command.id %> captures/mixed.monitor.gz --limit 3',
    '<%= config.bin %> <%= command.id %> captures/queue.monitor.gz --kind script-child --limit 5',
  ];
  static override enableJsonFlag = false;
  static override args = {
    capture: Args.string({ required: true, description: 'MONITOR log, plain, gzip or zstd; - for stdin' }),
  };
  static override flags = {
    limit: Flags.integer({ description: 'stop after that many ops', min: 1 }),
    kind: Flags.option({
      options: ['command', 'script-child', 'module-child'] as const,
      description: 'only ops of this kind',
    })(),
    'replica-capture': Flags.boolean({ description: 'accept the capture of a replica' }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Ops);
    const capture = new Capture(args.capture, { replica: flags['replica-capture'] });
    let left = flags.limit ?? Number.POSITIVE_INFINITY;
    for await (const op of capture.batches()) {
      let text = '';
      while (left > 0 && op.next()) {
        if (flags.kind && op.kind !== flags.kind) continue;
        left--;
        const { line, atUs, db, kind } = op;
        const values = Array.from({ length: op.argCount }, (_, i) => {
          const bytes = Buffer.from(op.arg(i));
          const string = bytes.toString('latin1');
          return PRINTABLE.test(string) ? string : { base64: bytes.toString('base64') };
        });
        text += `${JSON.stringify({ line, atUs, db, client: capture.client(op.clientId), kind, args: values })}\n`;
      }
      if (!process.stdout.write(text)) await once(process.stdout, 'drain');
      if (left === 0) return;
    }
    const { rejected, tornLastLine, caveats } = capture.summary();
    for (const [reason, { count, firstLine }] of Object.entries(rejected)) {
      this.logToStderr(`Rejected as ${reason}: ${count}, first in line ${firstLine}.`);
    }
    if (tornLastLine) this.logToStderr('The last line is cut off and left out.');
    for (const { id, message } of caveats) if (id !== 'capture-rejects') this.logToStderr(message);
  }
}
