/** A rehearsal's folder: written in whole steps, read back the same, and what is wrong with one is said in a paragraph. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createFolder, loadFolder } from '../../src/measure/folder.ts';
import { ARMS } from '../../src/measure/rehearsal.ts';
import { rehearse, writeRehearsal } from '../support/rehearsal.ts';

const root = mkdtempSync(join(tmpdir(), 'cutover-folder-'));
after(() => rmSync(root, { recursive: true }));
let folders = 0;
const fresh = () => join(root, `nested/${++folders}`);
const small = () =>
  rehearse(() => ({ ops: 50, errors: { 'session:{id} get': { ERR: 1 } } }), {
    rounds: 2,
    overrides: {
      configDifferences: [{ name: 'io-threads', baseline: undefined, candidate: '4' }],
      caveats: [{ id: 'a', message: 'b', advice: 'c', numbers: { n: 1 } }],
      stopped: { reason: 'interrupted', message: 'm' },
    },
  });

test('what is written comes back', async () => {
  const synthetic = small();
  const path = await writeRehearsal(fresh(), synthetic, { budget: 'the budget', model: 'the model' });
  const stored = await loadFolder(path);
  assert.deepEqual(stored.rehearsal, synthetic.rehearsal);
  assert.deepEqual([stored.path, stored.budgetText, stored.modelText], [path, 'the budget', 'the model']);
  for (const arm of ARMS) {
    const [read] = stored.latencyOf(1, arm, 0);
    const [written] = synthetic.latencyOf(1, arm, 0);
    assert.deepEqual([read!.family, read!.response.count], ['session:{id}', written!.response.count]);
    assert.equal(read!.response.quantile(0.9), written!.response.quantile(0.9));
  }
});

test('saving again replaces the document and leaves nothing beside it', async () => {
  const folder = await createFolder(fresh());
  const { rehearsal } = small();
  await folder.save({ ...rehearsal, rounds: [] });
  await folder.save(rehearsal);
  assert.deepEqual(readdirSync(folder.path), ['rehearsal.json']);
});

test('a folder that exists is refused', async () => {
  await assert.rejects(createFolder(root), { code: 'E_FOLDER_EXISTS', oclif: { exit: 2 } });
  writeFileSync(join(root, 'file'), '');
  await assert.rejects(createFolder(join(root, 'file/below')), { code: 'E_FOLDER' });
});

test('what cannot be read says why, and what to do', async () => {
  const refused = async (path: string, message: RegExp) => {
    await assert.rejects(loadFolder(path), (error: Error & { code?: string; suggestions?: string[] }) => {
      assert.equal(error.code, 'E_REHEARSAL');
      assert.match(error.message, message);
      assert.ok(error.suggestions![0]!.length > 20);
      return true;
    });
  };
  const path = await writeRehearsal(fresh(), small(), { budget: '' });
  const document = join(path, 'rehearsal.json');
  const edited = (change: (rehearsal: ReturnType<typeof small>['rehearsal']) => void) => {
    const { rehearsal } = small();
    change(rehearsal);
    writeFileSync(document, JSON.stringify(rehearsal));
  };
  await refused(join(root, 'absent'), /There is no folder/);
  await refused(document, /is a file; a rehearsal is a folder/);
  await refused(root, /holds no rehearsal/);
  writeFileSync(document, '{"schema": "cutover/rehearsal@1", "rou');
  await refused(path, /is not JSON/);
  writeFileSync(document, '{"schema": "cutover/rehearsal@9"}');
  await refused(path, /has the schema "cutover\/rehearsal@9"/);
  writeFileSync(document, 'null');
  await refused(path, /has the schema \(none\)/);
  edited((rehearsal) => Object.assign(rehearsal.rounds[1]!.arms.candidate, { slices: 3 }));
  await refused(path, /damaged at "rounds\.1\.arms\.candidate\.slices"/);
  edited((rehearsal) => Object.assign(rehearsal.files, { budget: '../../etc/passwd' }));
  await refused(path, /names a file outside of itself/);
  edited((rehearsal) => Object.assign(rehearsal.files, { budget: '/etc/passwd' }));
  await refused(path, /names a file outside of itself/);
  edited((rehearsal) => Object.assign(rehearsal.files, { model: '\u001b[31m' }));
  await refused(path, /damaged at "files\.model"/);
  edited(() => {});
  rmSync(join(path, 'model.json'));
  await refused(path, /model\.json cannot be read/);
});

test('a latency log that is missing or cut is named', async () => {
  const synthetic = small();
  const path = await writeRehearsal(fresh(), synthetic, { budget: '' });
  const { log } = synthetic.rehearsal.rounds[0]!.arms.baseline.slices[0]!;
  const { latencyOf } = await loadFolder(path);
  writeFileSync(join(path, log), 'Tag=lag:a:b,0,1,1,HISTFAAA\n');
  assert.throws(() => latencyOf(0, 'baseline', 0), { code: 'E_REHEARSAL', message: new RegExp(log) });
  rmSync(join(path, log));
  assert.throws(() => latencyOf(0, 'baseline', 0), { code: 'E_REHEARSAL', message: new RegExp(log) });
});

test('time lines come back; a copy without them is whole, a damaged one is refused', async () => {
  const synthetic = small();
  const path = await writeRehearsal(fresh(), synthetic, { budget: '' });
  const { timelineOf } = await loadFolder(path);
  assert.deepEqual(timelineOf(1, 'candidate', 0), synthetic.timelineOf(1, 'candidate', 0));
  const [first, second] = synthetic.rehearsal.rounds[0]!.arms.baseline.slices.map(({ timeline }) =>
    join(path, timeline!),
  );
  rmSync(first!);
  assert.equal(timelineOf(0, 'baseline', 0), undefined);
  writeFileSync(second!, '{"schema":"cutover/timeline@1"}');
  assert.throws(() => timelineOf(0, 'baseline', 1), { code: 'E_REHEARSAL', message: /time line cannot be read/ });
});
