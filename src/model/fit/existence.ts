/** What a fit has seen of keys, and what the server counted → which of them were there when the capture began. */
import type { Dataset as Sample } from '../../capture/record/sidecar.ts';
import { nameOf } from './at-start.ts';
import type { Fit } from './fit.ts';
import { fillsMisses, type KeyStats } from './key-stats.ts';
import { Birth, Fact } from './keyspace.ts';
import { latin1 } from './roles.ts';
import type { Dataset } from './summarize.ts';

/** Before anything made a key: it surely was there, was not or may as well not have been, or nothing tells. */
export const Existed = { no: 0, unproven: 1, yes: 2 } as const;

/** Misses that were filled, before reads that are not filled are taken for hits, and tell how many of the like were there. */
const MIN_REFILLS = 8;

/** Counts of one family, and its database. */
export type Counts = KeyStats & { db: number };

/** Births that made nothing. */
const MISSES: ReadonlySet<number> = new Set([Birth.read, Birth.refilledLater, Birth.filledLater]);

const LISTED = 1;
const MAY_EXPIRE = 2;

/** Whether a key lasts, or may have expired before it was asked for. */
const listOf = (samples: readonly Sample[]) =>
  new Map(samples.flatMap(({ sampled }) => sampled.map((key) => [listName(key.db, nameOf(key)), key.pttlMs < 0])));

const listName = (db: number, key: Uint8Array) => `${db} ${latin1(key)}`;

export interface AskedKey {
  /** One of `Existed`. */
  existed: number;
  family: number;
  /** Where nothing tells: how many reads may have found it, and which share of the like did. */
  reads: number;
  share: number;
}

export class Existence {
  /** By family: of its keys of which nothing tells, how many were there. */
  readonly shares: number[];
  /** By family: of all keys that were asked for before anything made them, how many were there. */
  private readonly sharesOfAll: number[] = [];
  /** By family: whether most keys surely were there, so that few reads that nothing tells of are no rule. */
  private readonly mostlyThere: boolean[] = [];
  private readonly keys: Fit['keys'];
  private readonly templateOf: Fit['template'];
  private readonly families: readonly number[];
  private readonly stats: readonly Counts[];
  private readonly fills: boolean[];
  private readonly dataset: Dataset;
  private readonly empty: boolean[];
  /** Keys that were listed right before the first line, whether each lasts; by name, and by row. */
  private readonly listed: ReadonlyMap<string, boolean> | undefined;
  private readonly listedRows: Uint8Array;

  /** `families`: number of each template's family. */
  constructor(fit: Fit, families: readonly number[], stats: readonly Counts[], dataset: Dataset) {
    this.keys = fit.keys;
    this.templateOf = (db, key) => fit.template(db, key);
    this.families = families;
    this.stats = stats;
    this.dataset = dataset;
    this.empty = stats.map(({ db }) => dataset.keys !== undefined && (dataset.keys.get(db) ?? 0) === 0);
    this.fills = stats.map(fillsMisses);
    this.listed = dataset.isListed ? listOf(dataset.samples ?? []) : undefined;
    this.listedRows = this.rowsOfListed();
    this.shares = this.calibrated();
  }

  /** Number of the family that a key is counted in; undefined for one that was not in the capture. */
  familyOfKey(db: number, key: Uint8Array): number | undefined {
    const row = this.keys.rowOf(db, key);
    return row === 0 ? this.families[this.templateOf(db, key)] : this.familyOf(row);
  }

  /** What is known of a key that was asked for before anything made it. */
  ofKey(db: number, key: Uint8Array): AskedKey {
    const row = this.keys.rowOf(db, key);
    if (row !== 0) {
      const family = this.familyOf(row);
      return {
        existed: this.of(row),
        family,
        reads: Math.max(1, this.keys.get(row, Fact.unproven)),
        share: this.shares[family]!,
      };
    }
    // The sample leaves it out: it is like the others of its family.
    const family = this.families[this.templateOf(db, key)]!;
    const lasts = this.listed?.get(listName(db, key));
    const existed = lasts ? Existed.yes : this.listed && lasts === undefined ? Existed.no : Existed.unproven;
    return { existed, family, reads: 1, share: this.sharesOfAll[family]! };
  }

  private rowsOfListed(): Uint8Array {
    const rows = new Uint8Array(this.keys.rows + 1);
    for (const [name, lasts] of this.listed ?? []) {
      const space = name.indexOf(' ');
      const row = this.keys.rowOf(Number(name.slice(0, space)), Buffer.from(name.slice(space + 1), 'latin1'));
      if (row > 0) rows[row] = lasts ? LISTED : MAY_EXPIRE;
    }
    return rows;
  }

  private familyOf(row: number): number {
    return this.families[this.keys.templateOf(row)]!;
  }

  /** One of `Existed`; what nobody asked for before it was made counts as not there. */
  of(row: number): number {
    const birth = this.keys.get(row, Fact.birth);
    // A list of all keys has the first word: who then found another, found one that had come meanwhile.
    if (this.listed && birth !== 0 && birth !== Birth.written) {
      if (this.listedRows[row] === LISTED) return Existed.yes;
      if (this.listedRows[row] === 0 && birth !== Birth.found) return Existed.no;
    }
    return this.inferred(row);
  }

  private inferred(row: number): number {
    const number = this.familyOf(row);
    const fills = this.fills[number]!;
    switch (this.keys.get(row, Fact.birth)) {
      case Birth.found:
        // Where the server says that there was no key, its share of none has the last word.
        return this.empty[number] ? Existed.unproven : Existed.yes;
      case Birth.refilled:
      case Birth.refilledLater:
        // Reading and writing the whole is how clients change what is there, if it is not how they fill misses.
        return fills ? Existed.no : this.empty[number] ? Existed.unproven : Existed.yes;
      case Birth.filledLater:
        return fills ? Existed.no : Existed.unproven;
      case Birth.read:
        // Where misses are not filled, who prolongs a key without reading it knows that it is there.
        if (!fills && !this.empty[number] && this.keys.get(row, Fact.unproven) === 0) return Existed.yes;
        return this.wouldHaveFilled(row, number) ? Existed.yes : Existed.unproven;
      default:
        return Existed.no;
    }
  }

  /** Whether it surely was not there when it was asked for first, and that did not make it. */
  wasMissed(row: number): boolean {
    const birth = this.keys.get(row, Fact.birth);
    return MISSES.has(birth) && this.of(row) === Existed.no;
  }

  /** Whether it is taken to have been there: of those of which nothing tells, so many as of the like. */
  assumed(row: number): boolean {
    const existed = this.of(row);
    if (existed !== Existed.unproven) return existed === Existed.yes;
    return this.keys.chance(row) < this.shares[this.familyOf(row)]!;
  }

  /** The same of what a later access came to, before anything made the key. */
  assumedLater(row: number): boolean {
    return this.mostlyThere[this.familyOf(row)]! || this.assumed(row);
  }

  /** Whether a client read the key and left it at that, in a way that others follow by filling it. */
  private wouldHaveFilled(row: number, number: number): boolean {
    const { otherRefills, filledAfter } = this.stats[number]!;
    return (
      this.fills[number]! &&
      !this.empty[number] &&
      otherRefills >= MIN_REFILLS &&
      filledAfter.has(this.keys.get(row, Fact.alone) - 1)
    );
  }

  /**
   * Keys that were read before anything wrote them need not have been there. Where a database was empty, none was. Where
   * clients fill misses, as many were as of the keys that they filled or found. If the server counted its misses, the
   * reads of all others missed so often that all misses are explained.
   */
  private calibrated(): number[] {
    const {
      keys,
      stats,
      fills,
      empty,
      dataset: { lookups },
    } = this;
    const own = stats.map(() => ({ there: 0, absent: 0, unproven: 0, unprovenReads: 0 }));
    let misses = 0;
    stats.forEach((family, number) => {
      misses += family.expiredReads;
      if (fills[number]!) misses += family.knownRefills + family.otherRefills + family.laterRefills;
    });
    for (let row = 1; row <= keys.rows; row++) {
      const birth = keys.get(row, Fact.birth);
      const weight = keys.weight(row);
      if (birth === 0 || weight === 0) continue;
      const number = this.familyOf(row);
      const family = own[number]!;
      const reads = keys.get(row, Fact.unproven) * weight;
      const existed = this.of(row);
      if (existed === Existed.yes) family.there += weight;
      else if (existed === Existed.unproven) {
        family.unproven += weight;
        family.unprovenReads += reads;
      } else if (birth !== Birth.written) {
        family.absent += weight;
        misses += reads;
      }
    }
    own.forEach(({ there, unproven, unprovenReads }, number) => {
      this.mostlyThere[number] = !fills[number]! && there > unproven;
      if (empty[number]) misses += unprovenReads;
    });
    const shares = own.map(({ there, absent }, number) =>
      fills[number]! && there + absent >= MIN_REFILLS ? there / (there + absent) : undefined,
    );
    const readsOf = (takes: (number: number) => boolean) =>
      own.reduce((sum, { unprovenReads }, number) => sum + (!empty[number] && takes(number) ? unprovenReads : 0), 0);
    const alike = readsOf((number) => shares[number] !== undefined);
    const alikeHits = own.reduce(
      (sum, { unprovenReads }, number) => sum + (empty[number] ? 0 : unprovenReads * (shares[number] ?? 0)),
      0,
    );
    const others = readsOf((number) => shares[number] === undefined);
    let [shareOfOthers, moreHits, fewerHits] = [1, 0, 1];
    if (lookups) {
      const hits = Math.min(alike + others, Math.max(0, alike + others - Math.max(0, lookups.misses - misses)));
      const rest = Math.min(others, Math.max(0, hits - alikeHits));
      shareOfOthers = others > 0 ? rest / others : 1;
      // What the server counted has the last word.
      fewerHits = alikeHits > 0 ? Math.min(1, hits / alikeHits) : 1;
      moreHits = alike > alikeHits ? Math.max(0, hits - others - alikeHits) / (alike - alikeHits) : 0;
    }
    return shares.map((like, number) => {
      const { there, absent, unproven } = own[number]!;
      let share = 0;
      if (!empty[number]) share = like === undefined ? shareOfOthers : like * fewerHits + (1 - like) * moreHits;
      const all = there + absent + unproven;
      this.sharesOfAll[number] = all > 0 ? (there + unproven * share) / all : share;
      return share;
    });
  }
}
