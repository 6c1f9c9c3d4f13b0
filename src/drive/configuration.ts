/** Two running servers → the settings in which they differ, and what could not be compared of them. */
import { ARMS, type Arm, type Rehearsal } from '../measure/rehearsal.ts';
import type { RunningServer } from '../servers/server.ts';

/** Configuration that differs by nature, or says nothing about behaviour. */
const IGNORED_CONFIG =
  /^(port|tls-.*|bind|dir|pidfile|logfile|unixsocket.*|dbfilename|appendfilename|appenddirname|.*-?user|requirepass|masterauth|primaryauth|.*syslog.*|proc-title-template|locale-collate|availability-zone)$/;

type Shown = Pick<RunningServer, 'config' | 'info'>;

/** By `CONFIG GET *`; where a server does not permit that, as managed ones do not, by what INFO says of both. */
export async function compareConfiguration(
  servers: Record<Arm, Shown>,
): Promise<Pick<Rehearsal, 'configDifferences' | 'caveats'>> {
  const shown = await Promise.all(ARMS.map((arm) => servers[arm].config()));
  const silent = ARMS.filter((_, i) => !shown[i]);
  const [baseline, candidate] = (
    silent.length === 0 ? shown : await Promise.all(ARMS.map((arm) => settingsInInfo(servers[arm])))
  ) as [Record<string, string>, Record<string, string>];
  // A setting that only one of them has is a difference of the products, not of how they are set up.
  const configDifferences = Object.keys(baseline)
    .filter((name) => name in candidate && !IGNORED_CONFIG.test(name) && baseline[name] !== candidate[name])
    .sort()
    .map((name) => ({ name, baseline: baseline[name], candidate: candidate[name] }));
  if (silent.length === 0) return { configDifferences, caveats: [] };
  const names = Object.keys(baseline).filter((name) => name in candidate);
  return {
    configDifferences,
    caveats: [
      {
        id: 'configuration-unknown',
        message: `${silent.join(' and ')} did not show the configuration (CONFIG GET): compared is what INFO says, ${names.join(', ') || 'which is nothing'}`,
        advice:
          'See that save, appendfsync and the limits of encodings are the same on both, or give the user of the URL +config|get.',
      },
    ],
  };
}

/** Under the names, and with the values, that `CONFIG GET` has for them. */
async function settingsInInfo(server: Shown): Promise<Record<string, string>> {
  const info = await server.info();
  const yesNo = (value: string) => (value === '1' ? 'yes' : 'no');
  const settings = {
    maxmemory: info.maxmemory,
    'maxmemory-policy': info.maxmemory_policy,
    appendonly: info.aof_enabled && yesNo(info.aof_enabled),
  } satisfies Record<string, string | undefined>;
  return Object.fromEntries(
    Object.entries(settings).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}
