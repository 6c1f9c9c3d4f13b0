/** Server URLs: what is written is what is connected to, and no part of the credentials is in what may be printed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseServerUrl } from '../../src/servers/url.ts';

const word = fc.string({ unit: 'binary', minLength: 1, maxLength: 30 }).filter((text) => text.isWellFormed());
const port = fc.integer({ min: 1, max: 65_535 });

test('user, password, host and port survive, percent-encoded', () => {
  const scheme = fc.constantFrom('redis', 'rediss', 'valkey', 'valkeys');
  fc.assert(
    fc.property(scheme, word, word, port, (scheme, username, password, port) => {
      const url = `${scheme}://${encodeURIComponent(username)}:${encodeURIComponent(password)}@db.example:${port}`;
      const tls = scheme === 'rediss' || scheme === 'valkeys';
      const { address, spec } = parseServerUrl(url);
      assert.deepEqual(address, { host: 'db.example', port, ...(tls ? { tls } : {}), username, password });
      assert.equal(spec, `${scheme}://db.example:${port}`);
    }),
  );
});

test('the same for Unix sockets', () => {
  fc.assert(
    fc.property(word, word, fc.constantFrom('unix:', 'unix://'), (username, password, prefix) => {
      const url = `${prefix}${encodeURIComponent(username)}:${encodeURIComponent(password)}@/run/a b.sock`;
      const { address, spec } = parseServerUrl(url);
      assert.deepEqual(address, { host: 'localhost', port: 0, path: '/run/a b.sock', username, password });
      assert.equal(spec, 'unix:/run/a b.sock');
    }),
  );
});

test('defaults and IPv6', () => {
  assert.deepEqual(parseServerUrl('redis://h').address, { host: 'h', port: 6379 });
  assert.deepEqual(parseServerUrl('valkeys://[::1]:7000').address, { host: '::1', port: 7000, tls: true });
  assert.deepEqual(parseServerUrl('redis://:50%25off%@h').address, { host: 'h', port: 6379, password: '50%25off%' });
});
