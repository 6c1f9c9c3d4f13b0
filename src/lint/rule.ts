/** What a rule is: its facts, its examples (which are its tests and its documentation) and its check. */

import type { Profile } from './profile.ts';
import type { CommandCall, Node, Script } from './program.ts';
import type { CapturedCommand } from './sources/capture.ts';
import type { ClientSource } from './sources/client.ts';
import type { Directive } from './sources/config.ts';
import type { ScriptUnit } from './sources/unit.ts';

/** `error`: fails or answers differently. `warning`: likely so, or slow. `info`: worth knowing. */
export type Severity = 'error' | 'warning' | 'info';

export const SEVERITIES: readonly Severity[] = ['error', 'warning', 'info'];

type Category =
  | 'atomicity'
  | 'blocking'
  | 'cluster-unsafe'
  | 'deprecated'
  | 'incompatible'
  | 'memory'
  | 'nondeterminism'
  | 'removed'
  | 'script-cache'
  | 'style';

/** What an example is made of: one of the inputs that lint reads. */
type ExampleInput =
  | {
      /** A script for EVAL, or with `#!lua name=…` a library for FUNCTION LOAD. */
      lua: string;
      /** Its file's name, for rules that read it (`addJob-6.lua`). */
      file?: string;
    }
  | {
      /** What one client sent, one command a line, words parted by spaces: `SET k v IFNE x`. */
      commands: string;
    }
  | { client: string; language: ClientSource['language'] }
  | {
      /** redis.conf. */
      config: string;
    };

export type Example = ExampleInput & {
  /** `--from redis@7.0 --to valkey@8.1`, with `--rollback`, `--cluster` where they matter. */
  profile: string;
  /** What the example shows, where it does not speak for itself. */
  note?: string;
};

/** How an example is run on both servers of its profile; scripts by EVAL, command lists line by line (the last reply counts). */
export interface Run {
  /** Commands sent before, to both. */
  setup?: string[][];
  keys?: string[];
  argv?: string[];
  /** What the client in the example sends, where the example is not what a server reads; the last reply counts. */
  send?: string[][];
}

export type BadExample = Example & {
  /** The text at which the finding must stand: its first occurrence, or the first behind `|` in `before|at`. */
  at: string;
  /** Where it is not the rule's severity for that profile. */
  severity?: Severity;
  /** What real servers answer: errors as their text, the rest as JSON. Drift: the two patterns tell the servers apart. */
  proof?: Run & { from: RegExp; to: RegExp };
};

export type GoodExample = Example & {
  /** What real servers answer: the same on both. */
  proof?: Run;
};

/** What a finding adds to its rule. */
export interface FindingDetail {
  /** One sentence, of this place: what differs, with the names in it. */
  message: string;
  /** Where this place is better or worse than the rule's own severity. */
  severity?: Severity;
  /** Where this place has a better answer than the rule's own. */
  fix?: string;
}

interface RuleContext {
  readonly profile: Profile;
  /** Reports a place in a script. A node is reported once per rule. */
  report(at: Node, detail: FindingDetail): void;
  /** Reports bytes `[start, end)` of the unit's text: shebangs, comments, client sources, configuration. */
  reportRange(start: number, end: number, detail: FindingDetail): void;
  /** Reports a script as a whole, at its first byte. */
  reportUnit(unit: ScriptUnit, detail: FindingDetail): void;
  /** Reports a command of a capture. */
  reportCommand(at: CapturedCommand, detail: FindingDetail): void;
}

/** What a rule listens to; each is called once per thing, in the order of the source. */
export interface Listeners {
  /** Every call of redis.call, redis.pcall and their aliases and wrappers. */
  call?(call: CommandCall, script: Script): void;
  /** The whole script, for what is not about one call. */
  script?(script: Script): void;
  /** All scripts of the run at once, before their syntax is looked at: for what shows only when they are compared. */
  scripts?(units: readonly ScriptUnit[]): void;
  /** Commands of a capture, equal shapes counted together. */
  command?(command: CapturedCommand): void;
  /** A client's source. */
  client?(source: ClientSource): void;
  /** A line of redis.conf. */
  directive?(directive: Directive): void;
}

interface RuleFacts {
  /** Number in the catalogue: D drift, H hygiene. */
  code: `${'D' | 'H'}${number}${number}`;
  /** Kebab-case; what users write. */
  name: string;
  /** A few words, lower case, that finish "this is about …". */
  title: string;
  category: Category;
  /** What a finding rests on: a token, the syntax alone, or the flow of data. */
  evidence: 'lex' | 'ast' | 'df';
  range: {
    /** `Redis <= 7.0 -> any Valkey`, in words. */
    text: string;
    /** Whether the rule has anything to say for the profile; otherwise it does not run. */
    applies(profile: Profile): boolean;
  };
  severity(profile: Profile): Severity;
  /** Why, in one or two sentences, with the measured figure and the versions. */
  mechanism: string;
  fix: string;
  /** How it is known: what was run, on which releases; which reports there are. */
  proof: string;
  check(context: RuleContext): Listeners;
}

type NonEmpty<T> = [T, ...T[]];

/** A drift rule that can say `error` has proved it: its first bad example was run on both servers. */
interface ProvenRule extends RuleFacts {
  code: `D${number}${number}`;
  worst: 'error';
  examples: { bad: [BadExample & Required<Pick<BadExample, 'proof'>>, ...BadExample[]]; good: NonEmpty<GoodExample> };
}

/** Drift that needs no server to be shown (client code, files), hygiene, or never worse than a warning. */
interface PlainRule extends RuleFacts {
  /**
   * The worst severity of any finding. `error` of a drift rule without proof by servers needs `unprovable`:
   * why no server can be asked.
   */
  worst: Severity;
  unprovable?: string;
  examples: { bad: NonEmpty<BadExample>; good: NonEmpty<GoodExample> };
}

export type Rule = ProvenRule | PlainRule;

/** Drift: the two servers differ. Hygiene: the same on both. */
export const kindOf = ({ code }: Rule): 'drift' | 'hygiene' => (code.startsWith('D') ? 'drift' : 'hygiene');

/** Lets the compiler hold a rule against its shape, and the catalogue against itself. */
export const defineRule = (rule: Rule): Rule => rule;
