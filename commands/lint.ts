/** Scripts, captures, client sources and configuration → what changes on the other server. */
import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../src/cli/base-command.ts';
import { CutoverError, EXIT_CODES } from '../src/errors.ts';
import { withoutKnown, writeBaseline } from '../src/lint/baseline.ts';
import { hasFailed, type LintResult, selectRules } from '../src/lint/engine.ts';
import { lintPaths } from '../src/lint/index.ts';
import { parseServer } from '../src/lint/profile.ts';
import { reportGithub } from '../src/lint/report/github.ts';
import { type LintDocument, lintDocument } from '../src/lint/report/json.ts';
import { rulePage } from '../src/lint/report/page.ts';
import { reportSarif } from '../src/lint/report/sarif.ts';
import { reflow, reportTerminal } from '../src/lint/report/terminal.ts';
import type { Rule } from '../src/lint/rule.ts';
import { RULES } from '../src/lint/rules/index.ts';
import { openCompiler, startServer } from '../src/servers/index.ts';

export default class Lint extends BaseCommand {
  static override summary = 'Say what in scripts and commands changes on the other server.';
  static override description =
    `Reads .lua files, folders, captures (scripts and commands in them), sources in JavaScript, TypeScript, Python, Ruby, Go, Java and PHP, and redis.conf. Runs nothing, needs no server; --verify asks one whether it compiles the scripts.
Reports what differs between the two servers; --hygiene adds what is slow or unsafe on both.
A comment in the script accepts a finding: -- cutover-ignore RULE: reason
Exit codes: 0 nothing at or above --fail-on, 1 findings, 2 usage, 3 the server of --verify cannot be asked.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %> scripts/ --from redis@7.2 --to valkey@9.1',
    '<%= config.bin %> <%= command.id %> captures/queue.monitor.gz --hygiene',
    '<%= config.bin %> <%= command.id %> src/ --format sarif > lint.sarif',
    '<%= config.bin %> <%= command.id %> --explain D11',
  ];
  static override strict = false;
  static override args = {
    path: Args.string({ description: 'files and folders to read' }),
  };
  static override flags = {
    from: Flags.string({
      default: 'redis@7.0',
      helpValue: 'SERVER',
      description: 'server that the scripts run on today',
    }),
    to: Flags.string({ default: 'valkey@8.1', helpValue: 'SERVER', description: 'server that they shall run on' }),
    rollback: Flags.boolean({ default: false, description: 'the way back must work too' }),
    cluster: Flags.boolean({ default: false, description: 'both sides are clusters' }),
    hygiene: Flags.boolean({ description: 'also what is slow or unsafe on both servers' }),
    rule: Flags.string({
      multiple: true,
      multipleNonGreedy: true,
      description: 'only these rules, by number or name',
      helpValue: 'RULE',
    }),
    'fail-on': Flags.option({
      options: ['error', 'warning', 'info'] as const,
      description: 'exit with 1 for findings at least as bad',
    })({ default: 'error' }),
    baseline: Flags.string({ description: 'file of known findings: only new ones count', helpValue: 'FILE' }),
    'write-baseline': Flags.string({ description: 'write the findings to this file as known', helpValue: 'FILE' }),
    format: Flags.option({
      options: ['terminal', 'sarif', 'github'] as const,
      description: 'how to print the findings (JSON: --json)',
    })({ default: 'terminal' }),
    explain: Flags.string({ description: 'print why a rule exists, with examples and evidence', helpValue: 'RULE' }),
    verify: Flags.string({
      helpValue: 'SERVER',
      env: 'CUTOVER_VERIFY',
      description:
        'ask this server whether it compiles the scripts (SCRIPT LOAD: they stay in its script cache): a URL, or redis, valkey, process:PATH to start one',
    }),
    'replica-capture': Flags.boolean({ description: 'accept the capture of a replica' }),
  };

  async run(): Promise<LintDocument | Pick<Rule, 'code' | 'name' | 'mechanism' | 'fix' | 'proof'>> {
    const { argv, flags } = await this.parse(Lint);
    if (flags.explain !== undefined) {
      const [rule] = rulesNamed([flags.explain]) as [Rule];
      this.log(reflow(rulePage(rule)).trimEnd());
      const { code, name, mechanism, fix, proof } = rule;
      return { code, name, mechanism, fix, proof };
    }
    const paths = argv as string[];
    if (paths.length === 0) {
      throw new CutoverError(
        'usage',
        'E_LINT_PATH',
        'There is nothing to read.',
        'Name files or folders: cutover lint scripts/ capture.log',
      );
    }
    const rules = selectRules(RULES, {
      hygiene: flags.hygiene,
      named: rulesNamed(flags.rule ?? []).map(({ code }) => code),
    });
    const profile = {
      from: parseServer(flags.from),
      to: parseServer(flags.to),
      rollback: flags.rollback,
      cluster: flags.cluster,
    };
    const found = await lintFor(paths, { profile, rules, replica: flags['replica-capture'] }, flags.verify);
    const result = flags.baseline === undefined ? found : withoutKnown(found, flags.baseline);
    if (flags['write-baseline'] !== undefined) writeBaseline(found, flags['write-baseline']);
    if (!this.jsonEnabled()) {
      const text =
        flags.format === 'sarif'
          ? reportSarif(result, rules)
          : flags.format === 'github'
            ? reportGithub(result)
            : reportTerminal(result, process.stdout);
      process.stdout.write(text);
    }
    if (hasFailed(result, flags['fail-on'])) process.exitCode = EXIT_CODES.fail.code;
    return lintDocument(result, flags['fail-on']);
  }
}

/** Starts or reaches the server that shall compile the scripts, if one is named, for as long as it is needed. */
async function lintFor(
  paths: string[],
  options: Parameters<typeof lintPaths>[1],
  spec: string | undefined,
): Promise<LintResult> {
  if (spec === undefined) return lintPaths(paths, options);
  await using server = await startServer(spec);
  using scripts = await openCompiler(server);
  const { product, version } = server.identity;
  // Awaited here: the server is stopped when this function returns.
  return await lintPaths(paths, { ...options, compiler: { name: `${product} ${version}`, compile: scripts.compile } });
}

/** Throws CutoverError (usage) for a rule that does not exist. */
function rulesNamed(names: string[]): Rule[] {
  return names.map((given) => {
    const name = given.toLowerCase();
    const rule = RULES.find((candidate) => candidate.code.toLowerCase() === name || candidate.name === name);
    if (rule) return rule;
    throw new CutoverError(
      'usage',
      'E_LINT_RULE',
      `There is no rule ${given}.`,
      `Rules: ${RULES.map(({ code, name: known }) => `${code} ${known}`).join(', ')}`,
    );
  });
}
