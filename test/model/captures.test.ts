/** The shipped captures: every command is counted as the server itself counted it. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Capture } from '../../src/capture/read.ts';
import { buildModel } from '../../src/model/build.ts';
import { describe } from '../../src/model/fit/shapes.ts';
import { treatmentOf } from '../../src/model/replayable.ts';

const folder = join(import.meta.dirname, '../../captures');

for (const name of ['sessions', 'queue', 'mixed']) {
  test(`${name}: counts equal the commandstats delta, nothing is rejected`, async () => {
    const { model, caveats } = await buildModel(join(folder, `${name}.monitor.gz`));
    assert.deepEqual(model.source.rejected, {});
    assert.deepEqual(caveats, []);
    const sidecar = JSON.parse(readFileSync(join(folder, `${name}.capture.json`), 'utf8'));
    const calls = (stats: Record<string, string>) => {
      const counts = new Map<string, number>();
      for (const [key, value] of Object.entries(stats)) {
        // MONITOR shows a subcommand as an argument: count it under its command.
        const command = key.replace('cmdstat_', '').split('|')[0]!;
        counts.set(command, (counts.get(command) ?? 0) + Number(/calls=(\d+)/.exec(value)![1]));
      }
      return counts;
    };
    const before = calls(sidecar.bursts[0].before.commandstats);
    const after = calls(sidecar.bursts[0].after.commandstats);
    const recorder = new Set(sidecar.recorderCommands.map((command: string) => command.split('|')[0]));
    let compared = 0;
    for (const [command, count] of after) {
      if (recorder.has(command)) continue;
      const seen = (model.commands[command]?.count ?? 0) + (model.scriptCommands[command] ?? 0);
      assert.equal(seen, count - (before.get(command) ?? 0), command);
      compared++;
    }
    assert.ok(compared >= 5);
    for (const command of Object.keys(model.commands)) assert.ok(after.has(command), command);
  });

  test(`${name}: single keys are known by the family that they are counted in`, async () => {
    const path = join(folder, `${name}.monitor.gz`);
    const { model, captured } = await buildModel(path, { keepKeys: true });
    const requests = model.families.map(() => 0);
    for await (const op of new Capture(path).batches()) {
      while (op.next()) {
        if (op.kind !== 'command' || treatmentOf(op.command) !== 'replay' || /^(eval|fcall)/.test(op.command)) continue;
        for (const { index } of describe(op).keys) requests[captured!.familyOf(op.db, op.arg(index))!]!++;
      }
    }
    assert.deepEqual(
      requests,
      model.families.map((family) => family.requests),
    );
  });
}
