/** Turns a budget file into checked numbers, and a mistake in it into its line, column and the word that was meant. */
import { isMap, isScalar, LineCounter, type Node, parseDocument } from 'yaml';
import { z } from 'zod';
import { CutoverError } from '../errors.ts';
import { DEFAULT_BUDGET } from './default-budget.ts';
import { quote } from './wording.ts';

export type Level = 'warn' | 'error';

export interface Budget {
  /** One-sided error probability of a wrong pass and of a wrong fail. */
  alpha: number;
  /** What latency is judged on; the objective with family `*` comes first. */
  latency: LatencyObjective[];
  memory?: { maxIncrease: number; floorBytes: number };
  /** `maxIncrease` is a difference of shares: 0.001 = 0.1 percentage points. */
  errors?: { newPrefixes: number; maxIncrease: number };
}

export interface LatencyObjective {
  /** Glob over family templates: `*` stands for any text, everything else for itself. */
  family: string;
  level: Level;
  limits: LatencyLimit[];
}

export interface LatencyLimit {
  percentile: number;
  /** 0.25 = 25 %. */
  maxIncrease: number;
  floorUs: number;
}

export const ALL_FAMILIES = '*';

const PERCENTILES = ['p50', 'p90', 'p95', 'p99', 'p99.5', 'p99.9', 'p99.99'] as const;

/** A number with its unit, `20%` or `100us`: the unit is not optional, because 20 could mean three things. */
const literal = (example: string, units: Record<string, number>) =>
  z.string({ error: `needs a unit: ${example}` }).transform((text, context) => {
    const [, number, unit] = /^(\d+(?:\.\d+)?) ?(\S+)$/.exec(text) ?? [];
    const scale = unit === undefined || !Object.hasOwn(units, unit) ? undefined : units[unit];
    if (scale !== undefined) return Number(number) * scale;
    context.addIssue(`expected a number with a unit (${Object.keys(units).join(', ')}), like ${example}`);
    return z.NEVER;
  });
const share = literal('20%', { '%': 0.01 });
const durationUs = literal('100us', { us: 1, µs: 1, ms: 1e3, s: 1e6 });
const sizeBytes = literal('8MiB', { B: 1, kB: 1e3, MB: 1e6, GB: 1e9, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 });

const limit = { max_increase: share, floor: durationUs.default(100) };
const latency = Object.fromEntries(PERCENTILES.map((name) => [name, z.strictObject(limit).optional()]));
const latencySection = z
  .strictObject(latency)
  .transform((limits) =>
    Object.entries(limits).flatMap(([name, value]): LatencyLimit[] =>
      value === undefined
        ? []
        : [{ percentile: Number(name.slice(1)), maxIncrease: value.max_increase, floorUs: value.floor }],
    ),
  )
  .refine((limits) => limits.length > 0, `names no percentile: one or more of ${PERCENTILES.join(', ')}`);
const rss = { max_increase: share, floor: sizeBytes.default(8 * 2 ** 20) };
const memory = { rss_per_logical_byte: z.strictObject(rss) };
const errors = { new_prefixes: z.int().min(0), max_increase: share };
const confidence = { alpha: z.number().min(0.001).max(0.2) };
const objective = {
  family: z.string().min(1),
  level: z.literal(['off', 'warn', 'error']).default('error'),
  latency: latencySection.optional(),
};
const off = z.literal('off');
const budget = {
  apiVersion: z.literal('cutover/budget@1'),
  confidence: z.strictObject(confidence).optional(),
  latency: off.or(latencySection).optional(),
  memory: off.or(z.strictObject(memory)).optional(),
  errors: off.or(z.strictObject(errors)).optional(),
  objectives: z
    .array(z.strictObject(objective))
    .superRefine((all, context) => {
      // Two budgets for one family would be two rules of one name.
      for (const [i, { family }] of all.entries()) {
        const path = [i, 'family'];
        if (family === ALL_FAMILIES)
          context.addIssue({ code: 'custom', path, message: 'all families: that is the latency section above' });
        else if (all.findIndex((other) => other.family === family) < i)
          context.addIssue({ code: 'custom', path, message: 'this family has an objective already' });
      }
    })
    .optional(),
};
const Schema = z.strictObject(budget);

/** The words that are valid below each key, for "did you mean". */
const WORDS: Record<string, string[]> = Object.fromEntries(
  Object.entries({
    '': budget,
    confidence,
    latency,
    memory,
    errors,
    rss_per_logical_byte: rss,
    objectives: objective,
    ...Object.fromEntries(PERCENTILES.map((name) => [name, limit])),
  }).map(([section, shape]) => [section, Object.keys(shape)]),
);

/**
 * Reads a budget file. `name` is the file's name for the error message.
 * @throws CutoverError E_BUDGET (usage) naming line, column and, for a misspelt word, the nearest valid one.
 */
export function parseBudget(text: string, name: string): Budget {
  const defaults = read(DEFAULT_BUDGET, 'default budget');
  const given = read(text, name);
  // A section left out is judged by the default: forgetting one must not switch it off.
  const section = <Key extends 'latency' | 'memory' | 'errors'>(key: Key) => given[key] ?? defaults[key]!;
  const [latencyLimits, memoryLimits, errorLimits] = [section('latency'), section('memory'), section('errors')];
  const everything = latencyLimits === 'off' ? [] : latencyLimits;
  const latencyObjectives: LatencyObjective[] = [
    { family: ALL_FAMILIES, level: 'error', limits: everything },
    ...(given.objectives ?? []).flatMap(({ family, level, latency: own }) =>
      level === 'off' ? [] : [{ family, level, limits: own ?? everything }],
    ),
  ];
  return {
    alpha: (given.confidence ?? defaults.confidence!).alpha,
    latency: latencyObjectives.filter(({ limits }) => limits.length > 0),
    ...(memoryLimits === 'off'
      ? {}
      : {
          memory: {
            maxIncrease: memoryLimits.rss_per_logical_byte.max_increase,
            floorBytes: memoryLimits.rss_per_logical_byte.floor,
          },
        }),
    ...(errorLimits === 'off'
      ? {}
      : { errors: { newPrefixes: errorLimits.new_prefixes, maxIncrease: errorLimits.max_increase } }),
  };
}

function read(text: string, name: string): z.infer<typeof Schema> {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const refuse = (offset: number, message: string): never => {
    const { line, col } = lines.linePos(offset);
    throw new CutoverError('usage', 'E_BUDGET', `${name}:${line}:${col}: ${message}`, [
      `Correct line ${line} of ${name}. Each rehearsal folder holds the budget it was planned with (budget.yaml), as an example.`,
    ]);
  };
  const [broken] = document.errors;
  if (broken) refuse(broken.pos[0], `not YAML: ${broken.message.split(' at line ')[0]}`);
  const parsed = Schema.safeParse(document.toJS());
  if (parsed.success) return parsed.data;

  // A misspelt key also leaves its section incomplete: the key is the cause.
  const found = parsed.error.issues.flatMap((one) => leavesOf(one));
  const { path, issue } = found.find((one) => one.issue.code === 'unrecognized_keys') ?? found[0]!;
  if (issue.code === 'unrecognized_keys') {
    const key = issue.keys[0]!;
    const words = WORDS[String(path.findLast((step) => typeof step === 'string') ?? '')] ?? [];
    const meant = nearest(key, words);
    const message = `unknown key ${quote(key)}`;
    refuse(
      keyOffset(document.getIn(path, true), key),
      meant ? `${message}; did you mean "${meant}"?` : `${message}; known here: ${words.join(', ')}`,
    );
  }
  const node = document.getIn(path, true) as Node | undefined;
  const where = path.length === 0 ? 'the file' : path.join('.');
  refuse(nodeOffset(node, document.getIn(path.slice(0, -1), true)), `${where}: ${explain(issue, node)}`);
  throw parsed.error;
}

type Issue = z.core.$ZodIssue;

/** Of "off, or a section" only what is wrong with the section is of interest, once a section was written. */
function leavesOf(issue: Issue, outer: PropertyKey[] = []): { path: PropertyKey[]; issue: Issue }[] {
  const path = [...outer, ...issue.path];
  const inside = issue.code === 'invalid_union' ? (issue.errors[1] ?? []) : [];
  const section = inside.filter((one) => one.code !== 'invalid_type' || one.path.length > 0);
  return section.length > 0 ? section.flatMap((one) => leavesOf(one, path)) : [{ path, issue }];
}

function explain(issue: Issue, node: Node | undefined): string {
  if (issue.code === 'invalid_union') return 'expected a section, or off';
  if (issue.code === 'invalid_type' && issue.expected === 'object' && node) return 'expected keys and values';
  if (issue.code === 'invalid_value') {
    const values = issue.values.map(String);
    if (node === undefined) return `is missing: ${values.join(' or ')}`;
    const meant = isScalar(node) ? nearest(String(node.value), values) : undefined;
    return meant ? `did you mean "${meant}"?` : `expected ${values.join(' or ')}`;
  }
  if (node === undefined && issue.code !== 'custom') return 'is missing';
  return issue.message.replace(/^Invalid input: /, '').replace(/^Too (small|big): expected \w+ to be /, 'expected ');
}

const keyOffset = (map: unknown, key: string) => {
  const pair = isMap(map) ? map.items.find((item) => isScalar(item.key) && item.key.value === key) : undefined;
  return nodeOffset(pair?.key as Node | undefined, map);
};
const nodeOffset = (node: Node | undefined, parent: unknown) =>
  node?.range?.[0] ?? (parent as Node | undefined)?.range?.[0] ?? 0;

/** The valid word that needs the fewest edits, if they are few enough to be a slip of the finger. */
function nearest(word: string, words: string[]): string | undefined {
  const [best] = words
    .map((candidate) => ({ candidate, edits: levenshtein(word.toLowerCase(), candidate.toLowerCase()) }))
    .sort((a, b) => a.edits - b.edits);
  return best && best.edits <= Math.max(2, best.candidate.length / 3) ? best.candidate : undefined;
}

/** Fewest insertions, deletions and substitutions between two words, one row of the table at a time. */
function levenshtein(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(next[j - 1]! + 1, row[j]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length]!;
}
