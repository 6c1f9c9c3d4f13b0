/** The plan through ioredis. */
import { Command, Redis } from 'ioredis';
import { clientOf } from '../library-client.ts';

export const openIoredis = clientOf({ Redis, Command });
