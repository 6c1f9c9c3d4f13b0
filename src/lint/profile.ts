/** `--from redis@7.0 --to valkey@8.1` → the two servers whose differences are looked for. */
import { CutoverError } from '../errors.ts';

export type Product = 'redis' | 'valkey';

/** A release. `patch` is infinite where the user named none: the newest of that minor. */
export interface Server {
  product: Product;
  major: number;
  minor: number;
  patch: number;
}

export interface Profile {
  /** Where the scripts run today. */
  from: Server;
  /** Where they shall run. */
  to: Server;
  /** The way back must work too: what only `to` understands is reported as well. */
  rollback: boolean;
  /** Both sides are clusters. */
  cluster: boolean;
}

/**
 * The release of each product in which something changed; a product that is left out never changed.
 * `{ redis: '7.2', valkey: '7.2' }`: TIME stands still inside a script.
 */
export type Change = Partial<Record<Product, string>>;

/** Minor releases that exist; the tables were read from binaries of most of them. */
const RELEASES: Record<Product, string[]> = {
  redis: ['5.0', '6.0', '6.2', '7.0', '7.2', '7.4', '8.0', '8.2', '8.4', '8.6'],
  valkey: ['7.2', '8.0', '8.1', '9.0', '9.1'],
};

/** Throws CutoverError (usage) for what is not `redis@MAJOR.MINOR[.PATCH]` or `valkey@…`. */
export function parseServer(text: string): Server {
  const [, product, major, minor, patch] =
    /^(redis|valkey)@(\d{1,3})(?:\.(\d{1,3}))?(?:\.(\d{1,3}))?$/.exec(text) ?? [];
  if (product === undefined) {
    throw new CutoverError(
      'usage',
      'E_LINT_SERVER',
      `"${text}" is not a server and its version.`,
      'Write it as redis@7.0 or valkey@8.1.2',
    );
  }
  const releases = RELEASES[product as Product];
  if (minor === undefined) {
    const candidates = releases.filter((release) => release.startsWith(`${major}.`));
    throw new CutoverError(
      'usage',
      'E_LINT_SERVER',
      `"${text}" leaves the minor version open, and minor versions differ.`,
      `Write one of ${(candidates.length > 0 ? candidates : releases).map((release) => `${product}@${release}`).join(', ')}`,
    );
  }
  const server = {
    product: product as Product,
    major: Number(major),
    minor: Number(minor),
    patch: patch === undefined ? Number.POSITIVE_INFINITY : Number(patch),
  };
  if (compareVersion(server, releases[0]!) < 0) {
    throw new CutoverError(
      'usage',
      'E_LINT_SERVER',
      `${text} does not exist or is too old to be known.`,
      `The oldest is ${product}@${releases[0]}`,
    );
  }
  return server;
}

/** `--from redis@7.0 --to valkey@8.1 --rollback --cluster`, as examples of rules write it. */
export function parseProfile(text: string): Profile {
  const words = text.split(/\s+/);
  const after = (flag: string) => words[words.indexOf(flag) + 1] ?? '';
  return {
    from: parseServer(after('--from')),
    to: parseServer(after('--to')),
    rollback: words.includes('--rollback'),
    cluster: words.includes('--cluster'),
  };
}

/** `redis 7.0`, `valkey 8.1.2`. */
export function nameServer({ product, major, minor, patch }: Server): string {
  return `${product} ${major}.${minor}${Number.isFinite(patch) ? `.${patch}` : ''}`;
}

/** Negative where the server is older than `version` (`8.1` or `8.1.2`), 0 where equal, positive where newer. */
export function compareVersion(server: Server, version: string): number {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number);
  const open = !Number.isFinite(server.patch) && version.split('.').length < 3 ? 0 : server.patch;
  const newer = server.major - major || server.minor - minor || (open === patch ? 0 : open - patch);
  return newer;
}

/** Whether the server has the change: its product has it at all, and this release is not older. */
export function has(server: Server, change: Change): boolean {
  const since = change[server.product];
  return since !== undefined && compareVersion(server, since) >= 0;
}

/** The change comes with the migration: `to` has it, `from` has not. */
export const gains = ({ from, to }: Profile, change: Change) => !has(from, change) && has(to, change);

/** One side has the change and the other has not, whichever. */
export const differs = ({ from, to }: Profile, change: Change) => has(from, change) !== has(to, change);

/** The servers that a script must be able to run on beside its present one: the target, and the source if there is a way back. */
export const destinations = ({ from, to, rollback }: Profile): Server[] => (rollback ? [to, from] : [to]);
