/** Which containers a killed run of this machine left behind, by their labels alone. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isGone, ownName } from '../../src/servers/control/owner.ts';
import { isOrphan } from '../../src/servers/docker.ts';

const skip = ['linux', 'darwin'].includes(process.platform) ? false : 'nobody can be told to be gone elsewhere';
const [machine, pid] = ownName().split(' ');

test('gone is an owner of this boot whose process is not there, or is another by now', { skip }, () => {
  assert.equal(isGone(ownName()), false);
  assert.equal(isGone(`${machine} 999999999 1`), true);
  assert.equal(isGone(`${machine} ${pid} 1`), true);
  assert.equal(isGone('elsewhere 999999999 1'), false);
  assert.equal(isGone(''), false);
});

test('a container that was created long after its label says is somebody else’s', { skip }, () => {
  const at = 1_800_000_000_000;
  const labels = { 'cutover.owner': `${machine} 999999999 1`, 'cutover.created': String(at) };
  assert.equal(isOrphan({ Created: at / 1000 + 2, Labels: labels }), true);
  assert.equal(isOrphan({ Created: at / 1000 + 3600, Labels: labels }), false);
  assert.equal(isOrphan({ Created: at / 1000, Labels: { 'cutover.owner': labels['cutover.owner'] } }), false);
  assert.equal(isOrphan({ Created: at / 1000, Labels: { ...labels, 'cutover.owner': ownName() } }), false);
});
