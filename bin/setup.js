#!/usr/bin/env node
// Makes a fresh clone able to rehearse: the npm packages, then a Redis and a Valkey (containers, or binaries on PATH).
//
//   node bin/setup.js                what `npm run demo` needs
//   node bin/setup.js --for-tests    what `npm test` needs: both binaries, and a Chromium, as well
//   node bin/setup.js --plan [JSON]  print the steps it would take here, or on the machine described, and take none
//
// Runs before anything is installed: Node 16 or newer, no dependency. It asks `nextStep` what is lacking, does that, looks
// again, and stops when nothing is: so a run that was interrupted is finished by the next one.
import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const defaults = JSON.parse(readFileSync(join(root, 'src/servers/defaults.json'), 'utf8'));
const products = Object.keys(defaults);
const imageOf = (product) => process.env[`CUTOVER_${product.toUpperCase()}_IMAGE`] || defaults[product].image;

/** A registry that has not said a word for this long is taken for unreachable. */
const PULL_SILENCE_MS = 10_000;
/** A registry that could not be reached is not asked again for this long: the second run must be quick. */
const PULL_RETRY_MS = 3_600_000;
const pullFailedMark = join(root, 'node_modules/.cache/cutover-pull-failed');
const BACKPORTS_FILE = '/etc/apt/sources.list.d/cutover-backports.sources';
const POLICY_FILE = '/usr/sbin/policy-rc.d';

/** What else a command may be called: any of them will do. */
const aliases = { chromium: ['chromium-browser', 'google-chrome'] };

class CannotSetUp extends Error {}

/**
 * The next thing to do on a machine, or undefined when nothing is lacking. Pure: all it knows is `facts`; those that are
 * costly to find out are getters, looked at only when they matter.
 */
function nextStep(facts, forTests) {
  if (!facts.modulesFresh) return { do: 'npm-ci' };
  if (facts.engine && facts.missingImages.length > 0 && !facts.pullFailed) {
    return { do: 'pull', images: facts.missingImages };
  }
  if (facts.engine && facts.missingImages.length === 0 && !forTests) return undefined;
  const lacking = facts.missingBinaries;
  if (lacking.length === 0) return undefined;
  const giveUp = (why) => ({ do: 'give-up', why: `${lacking.join(' and ')} not on PATH, and ${why}` });
  if (!facts.apt) return giveUp('there is no apt-get here to install with');
  if (!facts.root) return giveUp('installing needs root or a sudo that asks for no password');
  if (facts.installFailed) return giveUp('apt-get could not install it');
  if (!facts.listsUpdated) return { do: 'apt-update' };
  const unknown = lacking.filter((name) => !facts.packages.includes(name));
  if (unknown.length === 0) return { do: 'apt-install', packages: lacking };
  if (facts.distribution === 'debian 12' && !facts.backportsAdded) return { do: 'add-backports' };
  return giveUp(`${facts.distribution} has no package ${unknown.join(' or ')}`);
}

/** What each step changes when it goes well: lets `--plan` follow the steps without taking them. */
const expected = {
  'npm-ci': { modulesFresh: true },
  pull: { missingImages: [] },
  'apt-update': { listsUpdated: true },
  'add-backports': {
    backportsAdded: true,
    packages: [...products.map((product) => defaults[product].binary), 'openssl', 'chromium'],
  },
  'apt-install': { missingBinaries: [] },
};

const CURES = [
  'One of these makes it work:',
  '  Docker        start it; the images are pulled by themselves (not enough for `npm test`)',
  '  macOS         brew install redis valkey',
  '  Debian 13, Ubuntu 24.04 or newer',
  '                sudo apt-get install redis-server valkey-server',
  '  Debian 12     the same with valkey-server from bookworm-backports; as root, this script does it',
  '  Ubuntu 22.04  has no valkey-server: use Docker, or put a valkey-server of your own on PATH',
  '  Ubuntu        has no package of Chromium: `npm test` wants one on PATH, or google-chrome',
  '  elsewhere     put redis-server and valkey-server on PATH (dnf, apk, pacman: packages redis, valkey)',
];

const say = (line) => process.stderr.write(`setup: ${line}\n`);

function run(command, args, options = {}) {
  return spawnSync(command, args, { encoding: 'utf8', stdio: ['pipe', 'pipe', 'pipe'], ...options });
}

/** Runs as root, by sudo where we are not. Shows the end of the output only when it fails. */
function runAsRoot(args, options = {}) {
  const [command, ...rest] = process.getuid() === 0 ? args : ['sudo', '-n', ...args];
  const result = run(command, rest, options);
  if (result.status !== 0) {
    const output = `${result.stdout}${result.stderr}${result.error || ''}`.trimEnd();
    say(`\`${args.join(' ')}\` failed:\n${output.split('\n').slice(-12).join('\n')}`);
  }
  return result.status === 0;
}

function onPath(name) {
  return (process.env.PATH || '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return folder !== '';
    } catch {
      return false;
    }
  });
}

/** `debian 12`; empty where there is no os-release. */
function readDistribution() {
  try {
    const release = readFileSync('/etc/os-release', 'utf8');
    const field = (name) => (release.match(new RegExp(`^${name}="?([^"\\n]*)`, 'm')) || [])[1];
    return `${field('ID')} ${field('VERSION_ID')}`;
  } catch {
    return '';
  }
}

function ageMs(path) {
  try {
    return Date.now() - statSync(path).mtimeMs;
  } catch {
    return Infinity;
  }
}

/** This machine, found out as it is asked for; `done` holds the steps this run has taken. */
function probe(done, forTests) {
  const binaries = [
    ...products.map((product) => defaults[product].binary),
    ...(forTests ? ['openssl', 'chromium'] : []),
  ];
  return {
    get modulesFresh() {
      // npm writes this file last, so an interrupted `npm ci` leaves none.
      return ageMs(join(root, 'node_modules/.package-lock.json')) <= ageMs(join(root, 'package-lock.json'));
    },
    get engine() {
      return (
        onPath('docker') &&
        run('docker', ['version', '--format', '{{.Server.Version}}'], { timeout: 5000 }).status === 0
      );
    },
    get missingImages() {
      return products.map(imageOf).filter((image) => run('docker', ['image', 'inspect', image]).status !== 0);
    },
    get pullFailed() {
      return ageMs(pullFailedMark) < PULL_RETRY_MS;
    },
    get missingBinaries() {
      return binaries.filter((name) => ![name, ...(aliases[name] || [])].some(onPath));
    },
    get apt() {
      return onPath('apt-get');
    },
    get root() {
      return process.getuid() === 0 || run('sudo', ['-n', 'true']).status === 0;
    },
    get distribution() {
      return readDistribution();
    },
    get packages() {
      const policyOf = (name) => run('apt-cache', ['policy', name], { env: { ...process.env, LC_ALL: 'C' } }).stdout;
      return binaries.filter((name) => /Candidate: (?!\(none\))/.test(policyOf(name)));
    },
    listsUpdated: done.has('apt-update'),
    backportsAdded: done.has('add-backports'),
    installFailed: done.has('apt-install'),
  };
}

/** Pulls one image, giving up when the registry stays silent. Resolves to whether it is here now. */
function pull(image) {
  return new Promise((resolve) => {
    const child = spawn('docker', ['pull', image], { stdio: ['ignore', 'pipe', 'ignore'] });
    let timer;
    const wait = () => {
      clearTimeout(timer);
      timer = setTimeout(() => child.kill(), PULL_SILENCE_MS);
    };
    wait();
    child.stdout.on('data', wait);
    child.on('error', () => resolve(false));
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve(code === 0);
    });
  });
}

/**
 * Installs packages without starting their services. The policy that forbids starting removes itself once this process
 * has ended, so a run that was killed leaves nothing behind.
 */
function aptInstall(packages) {
  const ours = !existsSync(POLICY_FILE);
  if (ours) {
    const policy = `#!/bin/sh\n# Written by cutover's setup for the time of one apt-get install.\nkill -0 ${process.pid} 2>/dev/null && exit 101\nrm -f "$0"\nexit 0\n`;
    runAsRoot(['tee', POLICY_FILE], { input: policy }) && runAsRoot(['chmod', '755', POLICY_FILE]);
  }
  try {
    const installed =
      runAsRoot(['dpkg', '--configure', '-a']) &&
      runAsRoot([
        'env',
        'DEBIAN_FRONTEND=noninteractive',
        'apt-get',
        '-o',
        'DPkg::Lock::Timeout=120',
        'install',
        '--yes',
        '--no-install-recommends',
        ...packages,
      ]);
    // The packages enable their services for the next boot; nobody asked for a server on this machine's port 6379.
    const services = packages.filter((name) => name.endsWith('-server'));
    if (installed && services.length > 0 && existsSync('/run/systemd/system')) {
      runAsRoot(['systemctl', '--quiet', 'disable', ...services]);
    }
  } finally {
    if (ours) runAsRoot(['rm', '-f', POLICY_FILE]);
  }
}

const perform = {
  'npm-ci'() {
    say('installing the npm packages (npm ci, under a minute)');
    // Without our own node_modules/.bin: the Node in there is about to be replaced.
    const PATH = process.env.PATH.split(delimiter)
      .filter((folder) => folder !== join(root, 'node_modules/.bin'))
      .join(delimiter);
    const result = run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
      cwd: root,
      env: { ...process.env, PATH },
    });
    if (result.status !== 0) {
      // What npm prints after the first lines is the manual of the command.
      const reason = `${result.stdout}${result.stderr}${result.error || ''}`.trim().split('\n').slice(0, 10);
      throw new CannotSetUp(['npm ci failed:', ...reason].join('\n'));
    }
  },
  async pull({ images }) {
    say(`pulling ${images.join(' and ')}`);
    const pulled = await Promise.all(images.map(pull));
    const refused = images.filter((_, i) => !pulled[i]);
    if (refused.length === 0) return;
    mkdirSync(dirname(pullFailedMark), { recursive: true });
    writeFileSync(pullFailedMark, '');
    say(`the container engine answers but cannot pull ${refused.join(', ')}; using binaries instead`);
  },
  'apt-update'() {
    say('reading the package lists (apt-get update)');
    // Fails as a whole when one unrelated source is down; whether the package is there is looked at afterwards.
    runAsRoot(['apt-get', 'update', '-qq']);
  },
  'add-backports'() {
    say(`Debian 12 has valkey-server in bookworm-backports only: adding ${BACKPORTS_FILE} (delete it to undo)`);
    const source = [
      'Types: deb',
      'URIs: http://deb.debian.org/debian',
      'Suites: bookworm-backports',
      'Components: main',
      'Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg',
      '',
    ].join('\n');
    if (runAsRoot(['tee', BACKPORTS_FILE], { input: source })) runAsRoot(['apt-get', 'update', '-qq']);
  },
  'apt-install'({ packages }) {
    say(`installing ${packages.join(' and ')} with apt; their services are neither started nor enabled`);
    aptInstall(packages);
  },
  'give-up'({ why }) {
    throw new CannotSetUp([why, ...CURES].join('\n'));
  },
};

/** What a rehearsal with `redis` and `valkey` will use now: containers before binaries, as the tool itself chooses. */
function describe(facts) {
  if (facts.engine && facts.missingImages.length === 0) return `containers of ${products.map(imageOf).join(' and ')}`;
  const versions = products.map((product) => {
    const { stdout } = run(defaults[product].binary, ['--version']);
    return `${product} ${(stdout.match(/v=(\S+)/) || [])[1]}`;
  });
  return `${versions.join(' and ')} on PATH`;
}

async function setUp(forTests) {
  const done = new Set();
  for (;;) {
    const facts = probe(done, forTests);
    const step = nextStep(facts, forTests);
    if (!step) return say(`ready: ${describe(facts)}`);
    if (done.has(step.do)) throw new CannotSetUp(`the step ${step.do} changed nothing`);
    await perform[step.do](step);
    done.add(step.do);
  }
}

function plan(forTests, described) {
  let facts = described ? JSON.parse(described) : { ...probe(new Set(), forTests) };
  for (let step = nextStep(facts, forTests); step; step = nextStep(facts, forTests)) {
    const { do: name, why, images, packages } = step;
    process.stdout.write(`${[name, why, ...(images || packages || [])].filter(Boolean).join(' ')}\n`);
    if (!(name in expected)) return;
    facts = { ...facts, ...expected[name] };
  }
}

const forTests = process.argv.includes('--for-tests');
const planAt = process.argv.indexOf('--plan');
try {
  if (planAt > 0)
    plan(
      forTests,
      process.argv.slice(planAt).find((argument) => argument.startsWith('{')),
    );
  else await setUp(forTests);
} catch (error) {
  if (!(error instanceof CannotSetUp)) throw error;
  say(error.message);
  process.exitCode = 3;
}
