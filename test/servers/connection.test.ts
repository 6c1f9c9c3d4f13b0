/** What servers say about themselves, as text that was recorded or may come: identity and log lines. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseInfo } from '../../src/capture/record/identity.ts';
import { identify } from '../../src/servers/control/connection.ts';
import { tailLines } from '../../src/servers/control/log.ts';

const identityOf = (info: string) => {
  const { product, version } = identify(parseInfo(info));
  return `${product} ${version}`;
};

test('the product and version come from the field that does not lie', () => {
  const gcc = 'gcc_version:12.2.0\r\n';
  assert.equal(identityOf(`# Server\r\nredis_version:7.0.15\r\n${gcc}`), 'redis 7.0.15');
  assert.equal(
    identityOf(`# Server\r\nredis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.0.1\r\n${gcc}`),
    'valkey 8.0.1',
  );
  assert.equal(identityOf('redis_version:7.4.0\r\ndragonfly_version:df-v1.27.1\r\n'), 'other df-v1.27.1');
  assert.equal(identityOf(''), 'other unknown');
});

test('a value may hold colons, and headings are no fields', () => {
  assert.deepEqual(parseInfo('# Server: x\r\nexecutable:/a:b\r\n\r\nmem_allocator:libc\r\n'), {
    executable: '/a:b',
    mem_allocator: 'libc',
  });
});

test('log lines lose escapes, control bytes and blank neighbours', () => {
  const log = '\u001b[31mred\u001b[0m\r\n\n \x07bell\x00\n\u001b]8;;http://x\u0007link\u001b]8;;\u0007\nlast';
  assert.deepEqual(tailLines(log, 10), ['red', ' bell', 'link', 'last']);
  assert.deepEqual(tailLines(log, 2), ['link', 'last']);
  assert.deepEqual(tailLines(log, 0), []);
});
