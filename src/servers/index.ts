/** Server specs → running servers: the list of providers, and what the bare names `redis` and `valkey` stand for. */
import { CutoverError } from '../errors.ts';
import defaults from './defaults.json' with { type: 'json' };
import { dockerProvider, obtainImage } from './docker.ts';
import { findBinary, installAdvice, processProvider } from './process.ts';
import type { RunningServer, ServerLimits, ServerProvider } from './server.ts';
import { urlProvider } from './url.ts';

/** To add a provider, write a file that exports a ServerProvider, and list it here. */
export const PROVIDERS: ServerProvider[] = [dockerProvider, processProvider, urlProvider];

/** Image and binary of the bare names. */
export const DEFAULTS: Readonly<Record<'redis' | 'valkey', { image: string; binary: string }>> = defaults;

/**
 * The spec that a provider understands. `redis` and `valkey` become a container of the default image where an engine
 * answers and has or can pull it, else the binary on PATH. Throws CutoverError E_SPEC or E_NO_SERVER.
 */
export async function resolveSpec(spec: string): Promise<string> {
  if (spec === 'redis' || spec === 'valkey') {
    const { image, binary } = DEFAULTS[spec];
    const missing = await obtainImage(image);
    if (missing === undefined) return `docker:${image}`;
    if (findBinary(binary)) return `process:${binary}`;
    throw new CutoverError(
      'cannotRun',
      'E_NO_SERVER',
      `There is no ${spec} to run: no container (docker:${image}: ${missing}), and no \`${binary}\` on PATH.`,
      [...installAdvice([binary]), 'Or start Docker, or give the URL of an empty server.'],
    );
  }
  if (PROVIDERS.some((provider) => provider.accepts(spec))) return spec;
  throw new CutoverError('usage', 'E_SPEC', `"${spec}" is no server.`, [
    'Write redis or valkey, docker:IMAGE, process:BINARY, or a URL: redis://, rediss://, valkey://, valkeys://, unix:/path',
  ]);
}

/** Starts, or connects to, the server of a resolved spec. */
export async function startServer(spec: string, limits: ServerLimits): Promise<RunningServer> {
  const resolved = await resolveSpec(spec);
  return PROVIDERS.find((provider) => provider.accepts(resolved))!.start(resolved, limits);
}
