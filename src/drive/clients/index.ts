/** The clients that can drive a plan. To add one: a file that exports an `OpenClient`, and its line here. */
import type { OpenClient } from '../client.ts';
import { openIoredis } from './ioredis.ts';
import { openIovalkey } from './iovalkey.ts';
import { openRaw } from './raw.ts';

export const CLIENTS = {
  raw: openRaw,
  ioredis: openIoredis,
  iovalkey: openIovalkey,
} as const satisfies Record<string, OpenClient>;

/** Not one to choose: what `raw` becomes where the server is a cluster. */
export { openCluster } from './cluster.ts';

export type ClientName = keyof typeof CLIENTS;

/** The clients of a run; `both`: what a migration from one library to its successor has, in turn within each round. */
export const clientsOf = (asked: ClientName | 'both'): [ClientName, ...ClientName[]] =>
  asked === 'both' ? ['ioredis', 'iovalkey'] : [asked];
