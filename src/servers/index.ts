/** Server specs → running servers: the list of providers, and what the bare names `redis` and `valkey` stand for. */
import { CutoverError } from '../errors.ts';
import { startCluster } from './cluster.ts';
import defaults from './defaults.json' with { type: 'json' };
import { describeEngine, dockerProvider, ENGINE_ADVICE, findOrphans, hasImage, obtainImage } from './docker.ts';
import { cannotRaise, type Priority, realtimeRefusal } from './priority.ts';
import { binaryVersion, findBinary, installAdvice, processProvider } from './process.ts';
import type { RunningServer, ServerLimits, ServerProvider } from './server.ts';
import { parseServerUrl, urlProvider } from './url.ts';

export { openCompiler } from './compile.ts';
export { assertEmpty } from './emptiness.ts';
export { installAdvice } from './process.ts';

/** To add a provider, write one file that exports a `ServerProvider` and add its line here; the contract test runs over all. */
const PROVIDERS: readonly ServerProvider[] = [dockerProvider, processProvider, urlProvider];

const PRODUCTS = ['redis', 'valkey'] as const;
type Product = (typeof PRODUCTS)[number];
const isProduct = (spec: string): spec is Product => (PRODUCTS as readonly string[]).includes(spec);

/** The image that a bare name means: the default, or the one that the environment names (a mirror, another version). */
function imageOf(product: Product): string {
  return process.env[`CUTOVER_${product.toUpperCase()}_IMAGE`] || defaults[product].image;
}

/**
 * Decides what bare names stand for: containers of the default images where an engine answers and has or can pull them,
 * else binaries on PATH; `note` says so in one sentence. All bare names of one call become the same kind, because a
 * container and a plain process differ in more than the server. Specs of any other kind stay as they are.
 * Throws CutoverError: `usage` for what is no spec, `cannotRun` for bare names that nothing here can start.
 */
export async function resolveSpecs<Name extends string>(
  specs: Record<Name, string>,
): Promise<{ specs: Record<Name, string>; note?: string }> {
  const written: string[] = Object.values(specs);
  for (const spec of written) if (!isProduct(spec)) providerOf(spec);
  const products = PRODUCTS.filter((product) => written.includes(product));
  if (products.length === 0) return { specs };
  const replace = (become: (product: Product) => string) => {
    const entries = Object.entries<string>(specs).map(([name, spec]) => [name, isProduct(spec) ? become(spec) : spec]);
    return Object.fromEntries(entries) as Record<Name, string>;
  };

  const refusal = await refuseContainers(products);
  if (!refusal) {
    const images = products.map((product) => `${product} is ${imageOf(product)}`);
    return { specs: replace((product) => `docker:${imageOf(product)}`), note: `containers: ${images.join(', ')}` };
  }
  const missing = products.map((product) => defaults[product].binary).filter((name) => !findBinary(name));
  if (missing.length > 0) {
    throw new CutoverError(
      'cannotRun',
      'E_NO_SERVER',
      `No way to start ${products.join(' and ')}: ${refusal}; ${missing.join(' and ')} not on PATH.`,
      [...installAdvice(missing), ...ENGINE_ADVICE, 'Or name servers that run already: redis://HOST:PORT.'],
    );
  }
  const binaries = products.map((product) => `${product} is ${findBinary(defaults[product].binary)}`);
  return {
    specs: replace((product) => `process:${defaults[product].binary}`),
    note: `binaries on PATH: ${binaries.join(', ')} (${refusal})`,
  };
}

/** Whether a spec names a server that someone else runs. */
export const isUrl = (spec: string): boolean => urlProvider.accepts(spec);

/** A spec as it may be printed and saved. */
export function withoutCredentials(spec: string): string {
  return isUrl(spec) ? parseServerUrl(spec).spec : spec;
}

function providerOf(spec: string): ServerProvider {
  const provider = PROVIDERS.find((candidate) => candidate.accepts(spec));
  if (provider) return provider;
  // A spec of no known kind may still hold a password.
  const shown = spec.includes('@') ? 'What was given' : `"${spec}"`;
  throw new CutoverError('usage', 'E_SERVER_SPEC', `${shown} is not a server that cutover can start or reach.`, [
    'Write redis or valkey, docker:IMAGE, process:PATH-or-NAME, or a redis://, rediss://, valkey://, valkeys:// or unix: URL.',
  ]);
}

/** Why containers of these products cannot be had here, or undefined when they can; pulls what is not there yet. */
async function refuseContainers(products: readonly Product[]): Promise<string | undefined> {
  const { problem } = await describeEngine();
  if (problem) return `no container engine: ${problem}`;
  for (const product of products) {
    const reason = await obtainImage(imageOf(product));
    if (reason) return `cannot pull ${imageOf(product)}: ${reason}`;
  }
  return undefined;
}

/**
 * Starts the server that a spec names, or connects to it, and waits until it answers PING. A run resolves the specs of
 * both arms together first (`resolveSpecs`). Dispose the result to stop and remove what was started.
 */
export async function startServer(spec: string, { primaries, ...limits }: ServerLimits = {}): Promise<RunningServer> {
  const { specs } = await resolveSpecs({ spec });
  const provider = providerOf(specs.spec);
  if (provider === urlProvider) {
    // A cluster that someone else runs is discovered, with the nodes that it has; their priority is not ours to set.
    const { priority: _, ...asked } = limits;
    return provider.start(specs.spec, asked);
  }
  if (primaries === undefined) return provider.start(specs.spec, limits);
  return startCluster(specs.spec, primaries, () => provider.start(specs.spec, { ...limits, clusterNode: true }));
}

/**
 * Throws CutoverError where a resolved spec cannot be used: a mistake is worth knowing before a long capture is read.
 */
export async function assertUsable(spec: string, limits: ServerLimits, allowNonempty: boolean): Promise<void> {
  const { primaries: _, ...ofNode } = limits;
  await providerOf(spec).check(spec, ofNode, allowNonempty);
}

/**
 * What servers and generator are to run at. `auto`: real-time if all of them can have it, as far as one can know before
 * they are started. @throws CutoverError E_PRIORITY where `realtime` cannot be had, or by one server only.
 */
export function choosePriority(asked: Priority | 'auto', specs: readonly string[]): Priority {
  const foreign = specs.filter(urlProvider.accepts);
  if (asked === 'normal') return 'normal';
  const reason = realtimeRefusal();
  if (asked === 'auto') return reason === undefined && foreign.length === 0 ? 'realtime' : 'normal';
  if (reason !== undefined) throw cannotRaise('The generator', reason);
  if (foreign.length > 0 && foreign.length < specs.length)
    throw cannotRaise(withoutCredentials(foreign[0]!), 'someone else runs it');
  return 'realtime';
}

/** What there is on this machine to start servers with; pulls and starts nothing. */
export interface ServerSources {
  engine: { version: string; problem?: undefined } | { problem: string; advice: string[] };
  products: {
    product: Product;
    image: string;
    imageHere: boolean;
    binary: string;
    binaryPath?: string;
    version?: string;
  }[];
  /** Containers that killed runs left behind: the next run removes them. */
  orphans: string[];
}

export async function findServerSources(): Promise<ServerSources> {
  const { version, problem } = await describeEngine();
  const products = PRODUCTS.map(async (product) => {
    const [image, binary] = [imageOf(product), defaults[product].binary];
    const binaryPath = findBinary(binary);
    const binaryPrints = binaryPath && binaryVersion(binaryPath);
    return {
      product,
      image,
      imageHere: await hasImage(image),
      binary,
      ...(binaryPath ? { binaryPath } : {}),
      ...(binaryPrints ? { version: binaryPrints } : {}),
    };
  });
  return {
    engine: problem === undefined ? { version } : { problem, advice: ENGINE_ADVICE },
    products: await Promise.all(products),
    orphans: await findOrphans().catch(() => []),
  };
}
