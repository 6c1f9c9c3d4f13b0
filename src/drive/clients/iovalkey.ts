/** The plan through iovalkey. */
import { Command, Redis } from 'iovalkey';
import { clientOf } from '../library-client.ts';

export const openIovalkey = clientOf({ Redis, Command });
