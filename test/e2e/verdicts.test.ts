/** Whole rehearsals on real servers: equal servers are not called different, planted differences are found and named. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Judgement } from '../../src/compare/judgement.ts';
import type { Rehearsal } from '../../src/measure/rehearsal.ts';
import { startServer } from '../../src/servers/index.ts';
import { temporaryFile } from '../support/capture.ts';
import { cutover } from '../support/cli.ts';
import { startProxy } from '../support/proxy.ts';
import { temporaryFolder } from '../support/temporary.ts';

const sample = 'captures/mixed.monitor.gz';
const newFolder = () => join(temporaryFolder(), 'rehearsal');

async function rehearse(args: string[]): Promise<Judgement & { code: number | null }> {
  const { code, stdout, stderr } = await cutover(['run', sample, '--json', '--output', newFolder(), ...args]);
  assert.doesNotMatch(stderr, /Error|Warning/);
  return { ...JSON.parse(stdout), code };
}

type Fault = Omit<Parameters<typeof startProxy>[0], 'target'>;
const ATTEMPTS = 3;

/** A run that the host spoiled, and that says so, is repeated on fresh servers: it tells nothing of what was planted. */
async function behindProxy(fault: Fault, args: string[]) {
  for (let attempt = 1; ; attempt++) {
    const judgement = await rehearseBehindProxy(fault, args);
    if (judgement.verdict !== 'invalid' || attempt === ATTEMPTS) return judgement;
    assert.match(judgement.sentence, /rounds? spoiled/);
  }
}

const failed = (judgement: Judgement) =>
  judgement.rules.filter((rule) => rule.outcome === 'fail').map((rule) => rule.id);

/**
 * A rehearsal of the sample in which the candidate stands behind a proxy; the baseline behind one that adds nothing.
 * On two cores generator, proxy and server have less than a core each, and a server that wakes up waits up to 4 ms for
 * the generator's time slice. Servers and proxies go first where that is permitted, so that what the proxy adds is not
 * drowned by that.
 */
async function rehearseBehindProxy(fault: Fault, args: string[]) {
  await using baseline = await startServer('process:redis-server', {});
  await using candidate = await startServer('process:redis-server', {});
  const plain = await startProxy({ target: baseline.address });
  const faulty = await startProxy({ target: candidate.address, ...fault });
  const first = [process.pid, baseline.identity.pid!, candidate.identity.pid!];
  for (const pid of first) schedule(pid, ['--reset-on-fork', '--fifo', '--pid', '10']);
  try {
    return await rehearse([
      ...['--baseline', `redis://127.0.0.1:${plain.port}`, '--candidate', `redis://127.0.0.1:${faulty.port}`],
      ...args,
    ]);
  } finally {
    schedule(process.pid, ['--other', '--pid', '0']);
    await plain.close();
    await faulty.close();
  }
}

/** Needs root; without it the test depends on how calm the machine is. */
function schedule(pid: number, policy: string[]): void {
  spawnSync('chrt', [...policy, String(pid)], { stdio: 'ignore' });
}

test('the same server on both sides is not judged fail', async () => {
  const judgement = await rehearse([
    '--baseline',
    'process:redis-server',
    '--candidate',
    'process:redis-server',
    '--rounds',
    '3',
    '--slice',
    '1s',
    '--rate',
    '2x',
  ]);
  assert.notEqual(judgement.verdict, 'fail', judgement.sentence);
  assert.equal(judgement.code, judgement.exitCode);
  assert.deepEqual(failed(judgement), []);
});

test('Redis against Valkey gives a verdict', async () => {
  const judgement = await rehearse([
    '--baseline',
    'process:redis-server',
    '--candidate',
    'process:valkey-server',
    '--rounds',
    '2',
    '--slice',
    '1s',
  ]);
  assert.ok(['pass', 'fail', 'inconclusive'].includes(judgement.verdict), judgement.sentence);
  assert.match(
    judgement.command,
    /^cutover run captures\/mixed\.monitor\.gz --baseline process:redis-server .*--seed 1 /,
  );
  // Of stalls there may be none.
  for (const rule of judgement.rules) assert.ok(rule.samples > 0 || rule.metric === 'stalls', rule.id);
  const { settings, rounds }: Rehearsal = JSON.parse(readFileSync(join(judgement.rehearsal, 'rehearsal.json'), 'utf8'));
  assert.equal(settings.memoryProtocol, 'quick');
  for (const { samples, canDefragment } of rounds.flatMap(({ arms }) => Object.values(arms))) {
    const lines = readFileSync(join(judgement.rehearsal, samples!), 'utf8').trimEnd().split('\n');
    assert.ok(lines.length > 2 && lines.every((line) => JSON.parse(line).rssBytes > 0));
    assert.equal(typeof canDefragment, 'boolean');
  }
  const page = readFileSync(join(judgement.rehearsal, 'report.html'), 'utf8');
  for (const id of ['time-longest', 'family-spectrum-1', 'capture-families', 'memory-rehearsal-parts']) {
    assert.ok(page.includes(`id="${id}"`), id);
  }
});

test("a quarter of one family's replies delayed by 4 ms: fail, naming the tail of that family and of no other", async () => {
  const others = ['ratelimit:ip:*', 'user:*:profile', 'stock:*'];
  const budget = temporaryFile(
    'budget.yaml',
    `apiVersion: cutover/budget@1
latency:
  p99: { max_increase: 20%, floor: 1ms }
stalls: off
objectives: [${['product:*', ...others].map((family) => `{ family: "${family}", latency: { p95: { max_increase: 20%, floor: 1ms } } }`)}]
`,
  );
  // Slowly, because generator, proxy and server may have two cores between them.
  const judgement = await behindProxy({ delayShare: 0.25, delayMs: 4, delayed: /^product:/ }, [
    ...['--rounds', '4', '--slice', '1s', '--rate', '1500', '--warmup', '500ms', '--budget', budget],
  ]);
  assert.equal(judgement.verdict, 'fail', judgement.sentence);
  assert.equal(judgement.code, 1);
  const names = failed(judgement);
  assert.ok(names.includes('latency.p95/product:*'), judgement.sentence);
  assert.deepEqual(
    names.filter((id) => others.some((family) => id.endsWith(`/${family}`)) || !id.startsWith('latency.')),
    [],
  );
});

test('a stall of 50 ms twice a second: fail, naming the stalls', async () => {
  const judgement = await behindProxy({ stallEveryMs: 500, stallMs: 50 }, [
    ...['--rounds', '4', '--slice', '1s', '--rate', '1500', '--warmup', '500ms'],
  ]);
  assert.equal(judgement.verdict, 'fail', judgement.sentence);
  assert.ok(
    failed(judgement).some((id) => id.startsWith('stalls')),
    judgement.sentence,
  );
});

test('errors in reply to a tenth of the commands: fail, naming the errors', async () => {
  const judgement = await behindProxy({ errorShare: 0.1, errorText: 'PLANTED error of the proxy' }, [
    '--rounds',
    '3',
    '--slice',
    '1s',
  ]);
  assert.equal(judgement.verdict, 'fail', judgement.sentence);
  assert.equal(judgement.code, 1);
  assert.match(judgement.sentence, /error/i);
  assert.ok(failed(judgement).some((id) => id.startsWith('errors')));
  assert.match(JSON.stringify(judgement), /PLANTED/);
});

test('both client libraries drive the same rehearsal, and their own effect is said apart', async () => {
  const judgement = await rehearse([
    ...['--baseline', 'process:redis-server', '--candidate', 'process:valkey-server', '--client', 'both'],
    ...['--rounds', '2', '--slice', '1s', '--warmup', '500ms'],
  ]);
  assert.notEqual(judgement.verdict, 'invalid', judgement.sentence);
  assert.deepEqual(
    failed(judgement).filter((id) => id.startsWith('errors')),
    [],
  );
  assert.ok(
    judgement.caveats.some(({ id }) => id === 'client-effect'),
    judgement.caveats.map(({ id }) => id).join(),
  );
});
