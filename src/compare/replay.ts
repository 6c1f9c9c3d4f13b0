/** What both servers made of the same slices, latency apart → a caveat where they did not do the same. */
import type { Caveat } from '../errors.ts';
import { ARMS, type Arm, type Round, type SliceResult } from '../measure/rehearsal.ts';
import { count, percent, plural } from './wording.ts';

/** Shares that are less apart than this, and than this part of what both have together, make no difference to anybody. */
const ABORTS_APART = 0.001;
const ABORTS_RATIO = 1 / 4;
/** Twice what independent aborts would need: they depend on who comes first, to the microsecond, and come in bursts. */
const STANDARD_ERRORS = 6;
/** Of the steps of walks, so many may ask for a page once more without a walk's getting less far. */
const STEPS_AHEAD = 0.01;

export function replayCaveats(rounds: Round[]): Caveat[] {
  const slices = (arm: Arm) => rounds.flatMap(({ arms }) => arms[arm].slices);
  const sum = (arm: Arm, of: (slice: SliceResult) => number | undefined) =>
    slices(arm).reduce((total, slice) => total + (of(slice) ?? 0), 0);
  const both = (of: (slice: SliceResult) => number | undefined) => ({
    baseline: sum('baseline', of),
    candidate: sum('candidate', of),
  });
  return [...messages(both), ...aborts(both), ...steps(both)];
}

type Both = (of: (slice: SliceResult) => number | undefined) => Record<Arm, number>;

/** Both arms were sent the same PUBLISHes with the same subscribers: every message that one did not get is missing. */
function messages(both: Both): Caveat[] {
  const received = both((slice) => slice.messages?.received);
  const refused = both((slice) => slice.messages?.refused);
  const interrupted = both((slice) => slice.messages?.interrupted);
  const caveats: Caveat[] = [];
  if (received.baseline !== received.candidate) {
    const cut = interrupted.baseline + interrupted.candidate;
    caveats.push({
      id: 'messages-differ',
      message: `subscribers received ${count(received.baseline)} messages from the baseline and ${count(received.candidate)} from the candidate, of the same publications`,
      advice:
        cut > 0
          ? `The connections of subscribers were cut ${plural(cut, 'time')}: see the servers' logs and client-output-buffer-limit pubsub.`
          : 'A PUBLISH that was lost or refused on one arm explains it, or a script that publishes by what it finds; in a cluster, messages between nodes may still have been under way.',
      numbers: { ...received, interrupted: cut },
    });
  }
  if (refused.baseline + refused.candidate > 0) {
    caveats.push({
      id: 'subscriptions-refused',
      message: `subscriptions were refused ${count(refused.baseline)} times by the baseline and ${count(refused.candidate)} times by the candidate`,
      advice: 'Is the user allowed these channels (ACL: &channel)? Messages to them were heard by nobody.',
      numbers: refused,
    });
  }
  return caveats;
}

/** A client sends the next step of a SCAN when it has read the reply; the rehearsal sends it when it is due, whatever is known by then. */
function steps(both: Both): Caveat[] {
  const all = both((slice) => slice.walks?.steps);
  const ahead = both((slice) => slice.walks?.ahead);
  if (ARMS.every((arm) => ahead[arm] <= STEPS_AHEAD * all[arm])) return [];
  return [
    {
      id: 'scan-steps-ahead',
      message: `of ${count(all.baseline)} steps of SCAN, HSCAN, SSCAN and ZSCAN, ${count(ahead.baseline)} were sent to the baseline, and of ${count(all.candidate)} ${count(ahead.candidate)} to the candidate, before the step before was answered: they ask for the same page once more`,
      advice:
        'Calls are as many as planned, but walks get less far than their clients did. A lower --rate leaves time for the replies.',
      numbers: { baseline: ahead.baseline, candidate: ahead.candidate },
    },
  ];
}

/** Attempts are sent as captured, so that both arms do the same work: what differs is how many of them were stopped. */
function aborts(both: Both): Caveat[] {
  const aborted = both((slice) => slice.transactions?.aborted);
  const committed = both((slice) => slice.transactions?.committed);
  const [all, shares] = [{} as Record<Arm, number>, {} as Record<Arm, number>];
  for (const arm of ARMS) {
    all[arm] = aborted[arm] + committed[arm];
    if (all[arm] === 0) return [];
    shares[arm] = aborted[arm] / all[arm];
  }
  const pooled = (aborted.baseline + aborted.candidate) / (all.baseline + all.candidate);
  const error = Math.sqrt(pooled * (1 - pooled) * (1 / all.baseline + 1 / all.candidate));
  const apart = Math.abs(shares.candidate - shares.baseline);
  if (apart < Math.max(ABORTS_APART, pooled * ABORTS_RATIO, STANDARD_ERRORS * error)) return [];
  return [
    {
      id: 'aborts-differ',
      message: `watched keys stopped ${percent(shares.baseline)} of the transactions of the baseline and ${percent(shares.candidate)} of the candidate's`,
      advice:
        'Clients would have tried again where EXEC was nil; the rehearsal sends the attempts that were captured, no more. See whether writes to the watched keys take longer on one arm.',
      numbers: { baseline: shares.baseline, candidate: shares.candidate },
    },
  ];
}
