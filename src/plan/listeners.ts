/** A model → who listens to which channel all the time, and what the reader must know of messages. */
import type { Caveat } from '../errors.ts';
import { isUnnamed, SUBSCRIPTION_KINDS } from '../model/fit/subscriptions.ts';
import type { Model } from '../model/model.ts';
import type { Subscription } from './plan.ts';

/** Subscribers of one channel or pattern: each is a connection to each server. */
const MAX_SUBSCRIBERS = 1000;

/** As many subscribers as a channel or pattern had at most at once; subscriber 0 listens to all of them. */
export function listenersOf({ subscriptions = [] }: Model): Subscription[] {
  return subscriptions.flatMap(({ kind, name, peak, low }) =>
    Array.from({ length: Math.min(MAX_SUBSCRIBERS, peak - low) }, (_, subscriber) => ({ subscriber, kind, name })),
  );
}

const PUBLISH = ['publish', 'spublish'];
const KEYSPACE = /^__key(space|event)@/;
/** A wildcard beside a letter or digit, or letters to choose from; bytes from 0x80 on are parts of letters. */
const PART_OF_WORD = /[a-z\d\x80-\xff][*?[]|[*?\]][a-z\d\x80-\xff]|\[[^\]]*[a-z\x80-\xff]/i;
const ESCAPED_SIGN = /\\[^a-z\d]/gi;

/**
 * Of both modes. `modelled`: channels are named by the model, which keeps few and short names; `disguised`: subscriptions
 * whose names were disguised word by word, as those of channels are.
 */
export function listenerCaveats(
  model: Model,
  { modelled, disguised = [] }: { modelled: boolean; disguised?: readonly Subscription[] },
): Caveat[] {
  const caveats: Caveat[] = [];
  const published = PUBLISH.reduce((sum, name) => sum + (model.commands[name]?.count ?? 0), 0);
  const subscribed = ['subscribe', 'psubscribe', 'ssubscribe'].some((name) => model.commands[name]);
  if (published > 0 && !subscribed) {
    caveats.push({
      id: 'messages-unheard',
      message: `${published} messages are published, and the capture shows nobody who subscribes: nobody hears them in the rehearsal either.`,
      advice:
        'Who subscribed before a capture began is not in it. Where fan-out is a good part of the load, begin the capture before the subscribers connect.',
      numbers: { published },
    });
  }
  const invented = model.shapes.filter(
    ({ command, roles }) => PUBLISH.includes(command) && !(roles[0] && 'literals' in roles[0]),
  );
  const unnamed = SUBSCRIPTION_KINDS.filter((kind) => isUnnamed(model, kind));
  if (modelled && subscribed && published > 0 && invented.length + unnamed.length > 0) {
    caveats.push({
      id: 'channels-invented',
      message:
        'The model does not name some channels, because they are many or long: nobody hears what is published to these.',
      advice: '--mode exact keeps every channel and who listens to it.',
      numbers: { shapes: invented.length, kinds: unnamed.length },
    });
  }
  const patterns = new Set(disguised.flatMap(({ kind, name }) => (kind === 'pattern' ? name : [])));
  const parting = [...patterns].filter((name) => PART_OF_WORD.test(name.replace(ESCAPED_SIGN, ':'))).length;
  if (parting > 0) {
    caveats.push({
      id: 'patterns-disguised',
      message: `Of the patterns that clients subscribe to, ${parting} stand for parts of words (news* for newsroom). Words are anonymised whole: messages that these patterns heard they may not hear now.`,
      advice: '--keys real keeps every channel and pattern as it was.',
      numbers: { patterns: parting },
    });
  }
  const most = (model.subscriptions ?? []).reduce((max, { peak, low }) => Math.max(max, peak - low), 0);
  if (modelled && most > MAX_SUBSCRIBERS) {
    caveats.push({
      id: 'subscribers-many',
      message: `Up to ${most} connections listened to one channel: ${MAX_SUBSCRIBERS} of them do in the rehearsal, and its messages cost less than in production.`,
      advice: 'Measure such a fan-out by hand, with as many subscribers as in production.',
      numbers: { most, rehearsed: MAX_SUBSCRIBERS },
    });
  }
  if (model.subscriptions?.some(({ name }) => KEYSPACE.test(name))) {
    caveats.push({
      id: 'keyspace-notifications',
      message: 'Subscribers listen to keyspace notifications, which servers that cutover starts do not send.',
      advice: 'Rehearse against servers of your own (a URL) with notify-keyspace-events as in production.',
    });
  }
  return caveats;
}
