/** One node of a cluster → the primaries of all of it. */
import { CutoverError } from '../../errors.ts';
import type { Control, Endpoint } from './connection.ts';

/** Endpoints of all primaries that own slots, as the cluster announces them. Throws CutoverError (cannotRun). */
export async function findPrimaries(control: Control, seed: Endpoint, spec: string): Promise<Endpoint[]> {
  const text = await control.ask('CLUSTER', 'NODES');
  if (typeof text !== 'string') {
    throw new CutoverError(
      'cannotRun',
      'E_CAPTURE_CLUSTER',
      `${spec} is part of a cluster and does not list its nodes.`,
      [
        'Grant the user +cluster|nodes (+cluster before Redis 7).',
        'MONITOR shows one node only: without the list a capture would be a part that nobody can tell the size of.',
      ],
    );
  }
  return parseNodes(text, seed);
}

/** Lines of CLUSTER NODES: `id ip:port@bus[,host] flags primary ping pong epoch link slots…`. */
export function parseNodes(text: string, seed: Endpoint): Endpoint[] {
  const { path: _, ...common } = seed;
  const endpoints: Endpoint[] = [];
  for (const line of text.split('\n')) {
    const [, address = '', flags = '', , , , , , ...slots] = line.trim().split(' ');
    const names = flags.split(',');
    if (!names.includes('master') || names.some((flag) => /fail$|noaddr|handshake/.test(flag)) || slots.length === 0) {
      continue;
    }
    const [, ip = '', port = ''] = /^(.*):(\d+)(?:@|$)/.exec(address.split(',')[0]!) ?? [];
    if (names.includes('myself') && seed.path) endpoints.push(seed);
    // A node that has not yet heard its own address leaves it out.
    else endpoints.push({ ...common, host: ip || seed.host, port: Number(port) || seed.port });
  }
  return endpoints;
}
