/** Asking a server whether it offers MONITOR, without leaving a MONITOR that somebody would have to guard. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openMonitor } from '../../../src/capture/record/monitor-stream.ts';
import { PRODUCTS, startForeignServer } from '../../support/servers.ts';

for (const product of PRODUCTS) {
  test(`${product}: MONITOR that is only tried is over when it is answered`, async () => {
    using server = await startForeignServer(product);
    using tried = await openMonitor({ host: '127.0.0.1', port: server.port });
    await tried.probe();
    assert.doesNotMatch(server.cli('CLIENT', 'LIST'), / flags=\S*O/);
  });

  test(`${product}: who may not run MONITOR is told what the server says`, async () => {
    using server = await startForeignServer(product);
    server.cli('ACL', 'SETUSER', 'watcher', 'on', '>secret', 'allkeys', '+@all', '-monitor');
    const endpoint = { host: '127.0.0.1', port: server.port, username: 'watcher', password: 'secret' };
    using tried = await openMonitor(endpoint);
    await assert.rejects(tried.probe(), /NOPERM.*monitor/);
  });
}
