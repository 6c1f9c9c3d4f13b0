/**
 * How fast captures are parsed: ratios to `wc -l` on the same warm file in the same run, MB/s and peak memory, each work in a
 * process of its own, on one thread but where it says two. `parse.ts [ROUNDS] [MB]`
 */
import { execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { printTables } from './tables.ts';
import type { WorkMessage } from './works.ts';

const ROUNDS = Number(process.argv[2] ?? 7);
const FILE_BYTES = Number(process.argv[3] ?? 250) * 1e6;

const WORKS = [
  ...['tokenize', 'tokenize, two threads', 'count by family', 'count by family, two threads'],
  ...['whole model', 'whole model, two threads'],
];

await printTables(WORKS, FILE_BYTES, measure);

/** Rounds of the work, each behind one of the reference: what else runs on the machine disturbs both. */
async function measure(work: string, path: string) {
  const child = fork(new URL('./works.ts', import.meta.url), [work]);
  await once(child, 'message');
  const times: number[] = [];
  const references: number[] = [];
  let rssBytes = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now();
    execFileSync('wc', ['-l', path]);
    references.push((performance.now() - start) / 1000);
    child.send(path);
    const [message] = (await once(child, 'message')) as [WorkMessage];
    if (message.type !== 'done') throw new Error(`no answer from ${work}`);
    times.push(message.seconds);
    rssBytes = message.rssBytes;
  }
  child.kill();
  return { times, references, rssBytes };
}
