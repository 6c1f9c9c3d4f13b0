/** Sources and rules → findings, worst first, without those that are suppressed or already known. */
import { createHash } from 'node:crypto';
import type { Profile } from './profile.ts';
import { type CommandCall, Script } from './program.ts';
import { type FindingDetail, kindOf, type Listeners, type Rule, SEVERITIES, type Severity } from './rule.ts';
import { fillPrintf } from './sources/printf.ts';
import type { Sources } from './sources/read.ts';
import type { ParseError, Place, ScriptUnit } from './sources/unit.ts';
import { type Node, type Parsed, parseLua, rangeOf } from './syntax.ts';
import type { Verification } from './verify.ts';

export interface Finding {
  /** Kebab-case name. */
  rule: string;
  code: string;
  severity: Severity;
  category: string;
  file: string;
  line: number;
  column: number;
  /** For a script of a capture: which one, and the place in it; `line` is then its line in the capture. */
  script?: { sha: string; line: number; column: number };
  /** Bytes that the finding covers in its line; at least 1. */
  length: number;
  message: string;
  fix: string;
  /** The releases that it concerns, in words. */
  range: string;
  /** Of the line: what to show. One character per byte. */
  source: string;
  /** The script or source that it is in, as findings are grouped. */
  unit: string;
  /** Where a capture tells: how often the script or command was called, and by how many clients. */
  calls?: number;
  clients?: number;
  /** Other files with the same script. */
  copies?: string[];
  /** The same for the same finding in the same text, wherever its lines move. */
  fingerprint: string;
}

export interface LintResult {
  profile: Profile;
  findings: Finding[];
  /** Scripts that were read, equal ones once. */
  scripts: number;
  parseErrors: ParseError[];
  /** Suppressed by a comment, with its reason. */
  suppressed: { finding: Finding; reason: string }[];
  /** Left out because the baseline has them. */
  known: number;
  notes: string[];
  /** What a server said of the scripts, where one was asked. */
  verification?: Verification;
}

export interface LintOptions {
  profile: Profile;
  rules: readonly Rule[];
}

/** `-- cutover-ignore RULE: reason`, for the line it is in or the line below. */
const SUPPRESSION = /cutover-ignore[ \t]+([\w-]+)(?:[ \t]*:[ \t]*([^\r\n]*))?/g;

interface Suppression {
  rule: string;
  reason: string;
  place: Place;
}

/** What a reader should look at first: an error that is called often. Calls count by their logarithm: ten times is one step. */
const WEIGHTS: Record<Severity, number> = { error: 100, warning: 10, info: 1 };
const weightOf = ({ severity, calls = 1 }: Finding) => WEIGHTS[severity] * (1 + Math.log10(Math.max(1, calls)));

export function lint(sources: Sources, { profile, rules }: LintOptions): LintResult {
  const active = rules.filter((rule) => rule.range.applies(profile));
  const result: LintResult = {
    profile,
    findings: [],
    scripts: 0,
    parseErrors: [],
    suppressed: [],
    known: 0,
    notes: [...sources.notes],
  };
  const add = (finding: Finding, suppressions: Suppression[]) => {
    const { line } = finding.script ?? finding;
    const suppression = suppressions.find(
      ({ rule, reason, place }) =>
        reason !== '' &&
        (rule === finding.rule || rule === finding.code) &&
        place.file === finding.file &&
        (place.line === line || place.line === line - 1),
    );
    if (suppression) {
      result.suppressed.push({ finding, reason: suppression.reason });
    } else result.findings.push(finding);
  };
  for (const [unit, copies] of distinct(sources.scripts)) lintScript(unit, copies, active, profile, result, add);
  const inSources = sources.clients.flatMap(({ text, place }) => suppressionsIn(text, place));
  inSources.push(...sources.configurations.flatMap(({ text, place }) => suppressionsIn(text, place)));
  lintOthers(sources, active, profile, (finding) => add(finding, inSources));
  result.findings = withoutRepeats(result.findings);
  result.findings.sort(
    (a, b) => weightOf(b) - weightOf(a) || compare(a.unit, b.unit) || a.line - b.line || a.column - b.column,
  );
  return result;
}

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

/** Packages carry the same script several times (source, CommonJS, ESM): it is looked at once. */
function distinct(units: ScriptUnit[]): [ScriptUnit, copies: string[]][] {
  const byText = new Map<string, [ScriptUnit, string[]]>();
  for (const unit of units) {
    const known = byText.get(unit.text);
    if (known && unit.calls === undefined) known[1].push(unit.name);
    else if (known) known[0] = { ...unit, name: known[0].name, place: known[0].place, fragment: known[0].fragment };
    else byText.set(unit.text, [unit, []]);
  }
  return [...byText.values()];
}

/** Twenty times the largest script of the packages that were looked at. */
const MAX_SCRIPT_BYTES = 1 << 20;

type Add = (finding: Finding, suppressions: Suppression[]) => void;

function lintScript(
  given: ScriptUnit,
  copies: string[],
  rules: readonly Rule[],
  profile: Profile,
  result: LintResult,
  add: Add,
): void {
  result.scripts++;
  const problemAt = (offset: number, message: string) => {
    const { file, line, column } = given.place(offset);
    const hint = given.fragment || given.holes.length > 0 ? ' (a template, or a part of a script)' : '';
    result.parseErrors.push({ file, line, column, message: `${message}${hint}` });
  };
  if (given.text.length > MAX_SCRIPT_BYTES) {
    problemAt(0, `larger than ${MAX_SCRIPT_BYTES >> 10} KiB`);
    return;
  }
  const { unit, parsed } = parseUnit(given);
  if ('problem' in parsed) {
    problemAt(parsed.problem.offset, parsed.problem.message);
    return;
  }
  const suppressions = parsed.comments.flatMap((comment) => {
    const [start] = rangeOf(comment);
    return suppressionsIn(comment.value, () => unit.place(start));
  });
  for (const { rule, reason, place } of suppressions) {
    if (reason !== '') continue;
    result.notes.push(
      `${place.file}:${place.line}: cutover-ignore ${rule} has no reason and is not obeyed; write: -- cutover-ignore ${rule}: why it is right here`,
    );
  }
  try {
    const script = new Script(unit, parsed.chunk);
    for (const rule of rules) {
      checkScript(rule, script, profile, (offsets, detail) => {
        add(findingAt(rule, profile, unit, copies, offsets, detail), suppressions);
      });
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    problemAt(0, 'nested too deeply to be analysed');
  }
}

/** Parses a script; one that does not parse is tried as a template of printf. */
function parseUnit(unit: ScriptUnit): { unit: ScriptUnit; parsed: Parsed } {
  const parsed = parseLua(unit.text);
  const template = 'problem' in parsed && !unit.capture ? fillPrintf(unit) : undefined;
  const again = template && parseLua(template.text);
  return template && again && 'chunk' in again ? { unit: template, parsed: again } : { unit, parsed };
}

function suppressionsIn(text: string, place: (offset: number) => Place): Suppression[] {
  return [...text.matchAll(SUPPRESSION)].map((match) => ({
    rule: match[1]!,
    reason: match[2]?.trim() ?? '',
    place: place(match.index),
  }));
}

type Report = (offsets: [number, number], detail: FindingDetail) => void;

function checkScript(rule: Rule, script: Script, profile: Profile, report: Report): void {
  const seen = new Set<number>();
  const listeners: Listeners = rule.check({
    profile,
    report: (node: Node, detail) => {
      const range = rangeOf(node);
      if (seen.has(range[0])) return;
      seen.add(range[0]);
      report(range, detail);
    },
    reportRange: (start, end, detail) => report([start, end], detail),
    reportUnit: (_unit, detail) => report([0, 1], detail),
    reportCommand: () => {},
  });
  for (const call of listeners.call ? script.calls : ([] as CommandCall[])) listeners.call!(call, script);
  listeners.script?.(script);
}

function findingAt(
  rule: Rule,
  profile: Profile,
  unit: ScriptUnit,
  copies: string[],
  [start, end]: [number, number],
  detail: FindingDetail,
): Finding {
  const place = unit.place(start);
  return {
    ...facts(rule, profile, detail),
    file: place.file,
    line: unit.capture?.line ?? place.line,
    column: unit.capture ? 1 : place.column,
    ...(unit.capture ? { script: { sha: unit.sha ?? '', line: place.line, column: place.column } } : {}),
    length: Math.max(1, Math.min(end - start, place.text.length - place.column + 1)),
    source: place.text,
    unit: unit.name,
    ...(unit.calls === undefined ? {} : { calls: unit.calls }),
    ...(unit.clients === undefined ? {} : { clients: unit.clients }),
    ...(copies.length > 0 ? { copies } : {}),
    fingerprint: fingerprintOf(rule.code, detail.message, place.text),
  };
}

function facts(rule: Rule, profile: Profile, { message, severity, fix }: FindingDetail) {
  return {
    rule: rule.name,
    code: rule.code,
    severity: severity ?? rule.severity(profile),
    category: rule.category,
    message,
    fix: fix ?? rule.fix,
    range: rule.range.text,
  };
}

const fingerprintOf = (...parts: string[]) =>
  createHash('sha256')
    .update(parts.map((part) => part.trim()).join('\0'))
    .digest('hex')
    .slice(0, 16);

/** What is not in one script: all of them together, commands of captures, client sources, configuration. */
function lintOthers(
  { scripts, commands, clients, configurations }: Sources,
  rules: readonly Rule[],
  profile: Profile,
  add: (finding: Finding) => void,
): void {
  for (const rule of rules) {
    let at: { place(offset: number): Place } | undefined;
    const listeners = rule.check({
      profile,
      report: () => {},
      reportUnit: (unit, detail) => add(findingAt(rule, profile, unit, [], [0, 1], detail)),
      reportRange: (start, end, detail) => {
        const place = at!.place(start);
        add({
          ...facts(rule, profile, detail),
          file: place.file,
          line: place.line,
          column: place.column,
          length: Math.max(1, Math.min(end - start, place.text.length - place.column + 1)),
          source: place.text,
          unit: place.file,
          fingerprint: fingerprintOf(rule.code, detail.message, place.text),
        });
      },
      reportCommand: (command, detail) => {
        const { file, line, name, args, argCount, calls } = command;
        const text = `${name.toUpperCase()} ${args.join(' ')}${argCount > args.length ? ' …' : ''}`.slice(0, MAX_SHOWN);
        add({
          ...facts(rule, profile, detail),
          file,
          line,
          column: 1,
          length: name.length,
          source: text,
          unit: file,
          calls,
          clients: command.clients,
          fingerprint: fingerprintOf(rule.code, detail.message, name),
        });
      },
    });
    listeners.scripts?.(scripts);
    if (listeners.command) for (const command of commands) listeners.command(command);
    if (listeners.client) {
      for (const client of clients) {
        at = client;
        listeners.client(client);
      }
    }
    if (listeners.directive) {
      for (const configuration of configurations) {
        at = configuration;
        for (const directive of configuration.directives) listeners.directive(directive);
      }
    }
  }
}

const MAX_SHOWN = 160;

/** A file that several scripts include has its findings once. */
function withoutRepeats(findings: Finding[]): Finding[] {
  const seen = new Set<string>();
  return findings.filter(({ code, file, line, column, script, message }) => {
    const key = JSON.stringify([code, file, line, column, script, message]);
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

/** Whether there is a finding at least as bad as `threshold`, or a script that a server does not compile. */
export const hasFailed = ({ findings, verification }: LintResult, threshold: Severity) =>
  findings.some(({ severity }) => SEVERITIES.indexOf(severity) <= SEVERITIES.indexOf(threshold)) ||
  (verification?.refused.length ?? 0) > 0;

/** The rules of a run: drift, with hygiene if asked for; or those that are named. */
export function selectRules(all: readonly Rule[], { hygiene, named }: { hygiene: boolean; named: string[] }): Rule[] {
  if (named.length > 0) return all.filter(({ name, code }) => named.includes(name) || named.includes(code));
  return all.filter((rule) => hygiene || kindOf(rule) === 'drift' || ALWAYS.has(rule.code));
}

/** Hygiene that fails on every server: whoever migrates wants to know before it is blamed on the new one. */
const ALWAYS = new Set(['H12', 'H13', 'H14', 'H15']);
