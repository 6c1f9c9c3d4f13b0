/** Two running servers → the settings of `CONFIG GET *` in which they differ. */
import { ARMS, type Arm, type Rehearsal } from '../measure/rehearsal.ts';
import type { RunningServer } from '../servers/server.ts';

/** Configuration that differs by nature, or says nothing about behaviour. */
const IGNORED_CONFIG =
  /^(port|tls-.*|bind|dir|pidfile|logfile|unixsocket.*|dbfilename|appendfilename|appenddirname|.*-?user|requirepass|masterauth|primaryauth|.*syslog.*|proc-title-template|locale-collate|availability-zone)$/;

/** None where a server does not show its configuration. */
export async function configDifferences(
  servers: Record<Arm, Pick<RunningServer, 'config'>>,
): Promise<Rehearsal['configDifferences']> {
  const [baseline, candidate] = await Promise.all(ARMS.map((arm) => servers[arm].config()));
  if (!baseline || !candidate) return [];
  // A setting that only one of them has is a difference of the products, not of how they are set up.
  return Object.keys(baseline)
    .filter((name) => name in candidate && !IGNORED_CONFIG.test(name) && baseline[name] !== candidate[name])
    .sort()
    .map((name) => ({ name, baseline: baseline[name], candidate: candidate[name] }));
}
