/** Servers that are set up or built differently are not compared silently: real servers, by URL and as processes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Judgement } from '../../src/compare/judgement.ts';
import { cutover } from '../support/cli.ts';
import { type ForeignServer, moreServers, startForeignServer } from '../support/servers.ts';
import { temporaryFolder } from '../support/temporary.ts';

async function rehearse(
  baseline: string,
  candidate: string,
  ...more: string[]
): Promise<Judgement & { code: number | null }> {
  const { code, stdout, stderr } = await cutover([
    ...['run', 'captures/queue.monitor.gz', '--json', '--baseline', baseline, '--candidate', candidate],
    ...[
      '--rounds',
      '1',
      '--slice',
      '500ms',
      '--warmup',
      '200ms',
      '--output',
      `${temporaryFolder()}/rehearsal`,
      ...more,
    ],
  ]);
  assert.match(stdout, /"verdict"/, stderr);
  return { ...JSON.parse(stdout), code };
}

const urlOf = ({ port }: ForeignServer, user = '') => `redis://${user}127.0.0.1:${port}`;
const caveatOf = ({ caveats }: Judgement, wanted: string) => caveats.find(({ id }) => id === wanted)?.message ?? '';

test('other save and other maxmemory-policy: invalid, naming both settings with both values', async () => {
  using baseline = await startForeignServer('redis');
  using candidate = await startForeignServer('valkey', '--maxmemory-policy', 'allkeys-lru');
  candidate.cli('config', 'set', 'save', '3600 1');
  const judgement = await rehearse(urlOf(baseline), urlOf(candidate), '--memory-protocol', 'off');
  assert.deepEqual([judgement.verdict, judgement.code], ['invalid', 5]);
  assert.match(judgement.reasons.join(), /maxmemory-policy "noeviction" → "allkeys-lru", save "" → "3600 1"/);
});

test('a server that hides its configuration is compared by INFO, and what that does not show is said', async () => {
  using baseline = await startForeignServer('redis');
  using candidate = await startForeignServer('redis', '--maxmemory', '200mb');
  candidate.cli('acl', 'setuser', 'app', 'on', '>secret', '~*', '&*', '+@all', '-config');
  const judgement = await rehearse(urlOf(baseline), urlOf(candidate, 'app:secret@'), '--memory-protocol', 'off');
  assert.deepEqual([judgement.verdict, judgement.code], ['invalid', 5]);
  assert.match(judgement.reasons.join(), /maxmemory "0" → "209715200"/);
  assert.match(
    caveatOf(judgement, 'configuration-unknown'),
    /^candidate did not show .*INFO says, maxmemory, maxmemory-policy, appendonly$/,
  );
});

const other = moreServers().get('redis@6.0');

test('other allocators: memory is not judged, and both are named', {
  skip: other ? false : 'run test/support/more-servers.sh',
}, async () => {
  const judgement = await rehearse(`process:${other}`, 'process:redis-server');
  const memory = judgement.rules.filter(({ metric }) => metric === 'memory');
  assert.deepEqual([...new Set(memory.map(({ outcome }) => outcome))], ['not-judged']);
  assert.match(caveatOf(judgement, 'allocators-differ'), /"jemalloc-5\.2\.1", "jemalloc-5\.3\.\d"/);
});
