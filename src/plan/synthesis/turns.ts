/** Who comes to a family's keys, and in which states they find them → whose turn it is to come to a key in some state. */
import { ALL_STATES, beforeEnd, KeyState } from '../../model/fit/units.ts';

/** So many times a party may come to a state before it is its turn. */
const SLACK = 4;

/** Units of one class whose first key is of the family. */
export interface Party {
  /** How often they found their first key in each state (`KeyState`). */
  states: Float64Array;
  /** Whether they make such keys, and not only because others have asked. */
  keeps: boolean;
}

interface Visits {
  /** Share of the party's visits that are to keys in each state, as captured. */
  shares: Float64Array;
  /** Visits so far, by state and in all. */
  byState: Float64Array;
  all: number;
}

/**
 * Where one service makes what another reads, a key that is not there is the first one's business: of all visits to keys
 * in some state, each party has the share that it had, whenever and however often such keys come.
 */
export class Turns<P extends Party> {
  /** Whether parties find keys in different states at all. */
  readonly areShared: boolean;
  /** Whether some parties keep the keys that others only use. */
  private readonly areKept: boolean;
  private readonly visits = new Map<P, Visits>();
  private readonly all: readonly Visits[];
  /** Visits of units that begin with another key: share that is to missing ones, of the visits of all parties; and so far. */
  private readonly missingShare: number;
  private missing = 0;

  /** `missing`: keys that are not there when they are asked for first, whether as a unit's first key or another. */
  constructor(parties: readonly P[], missing: number) {
    let [all, own] = [0, 0];
    for (const party of parties) {
      const total = party.states.reduce((sum, n) => sum + n, 0);
      const shares = new Float64Array(ALL_STATES);
      party.states.forEach((n, state) => {
        shares[withoutEnd(state)]! += n / Math.max(1, total);
        if (beforeEnd(state) === KeyState.missing) own += n;
      });
      all += total;
      this.visits.set(party, { shares, byState: new Float64Array(ALL_STATES), all: 0 });
    }
    this.all = [...this.visits.values()];
    // Commands with many keys miss some that nobody makes, more often than those with one do.
    this.missingShare = Math.max(0, missing - own) / Math.max(1, all);
    this.areKept = parties.some(({ keeps }) => keeps) && parties.some(({ keeps }) => !keeps);
    this.areShared = parties.length > 1 || (parties.length === 1 && missing - own >= 1);
  }

  /** Whether the party comes to a key in this state. */
  suits(party: P, state: number): boolean {
    const s = withoutEnd(state);
    const isMissing = s === KeyState.missing;
    let expected = 0;
    let found = isMissing ? this.missing : 0;
    let all = 0;
    for (const visits of this.all) {
      expected += visits.shares[s]! * visits.all;
      found += visits.byState[s]!;
      all += visits.all;
    }
    if (isMissing) expected += this.missingShare * all;
    const own = this.visits.get(party)!;
    if (this.areKept && (beforeEnd(s) === KeyState.gone || beforeEnd(s) === KeyState.asked)) {
      // Who keeps keys alive comes in time: more that are gone than others found are left to them.
      return party.keeps || own.byState[s]! <= own.shares[s]! * own.all + SLACK;
    }
    if (own.shares[s] === 0) return expected === 0;
    if (expected === 0) return true;
    return own.byState[s]! <= (own.shares[s]! * own.all * found) / expected + SLACK;
  }

  /** The party has come to a key in this state; undefined: a unit that began with another key. */
  took(party: P | undefined, state: number): void {
    const s = withoutEnd(state);
    if (party) {
      const own = this.visits.get(party)!;
      own.byState[s]!++;
      own.all++;
    } else if (s === KeyState.missing) this.missing++;
  }
}

/** Who comes last to a key that is missing does not end anything. */
const withoutEnd = (state: number) => (beforeEnd(state) === KeyState.missing ? KeyState.missing : state);
