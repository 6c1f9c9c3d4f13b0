/** Server specs → running servers: the list of providers, and what the bare names `redis` and `valkey` stand for. */
import { CutoverError } from '../errors.ts';
import { SERVER_ARGUMENTS } from './arguments.ts';
import { describeEngine } from './docker.ts';
