/**
 * Examples on real servers: what a rule says differs does, and what it lets pass does not.
 * Servers: the installed binaries, those that test/support/more-servers.sh fetched, and those that LINT_SERVERS names
 * (`redis@7.4=127.0.0.1:7001 valkey@9.0=…`).
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { parseProfile, type Server } from '../../src/lint/profile.ts';
import { type BadExample, type Example, type GoodExample, kindOf, type Rule, type Run } from '../../src/lint/rule.ts';
import { RULES } from '../../src/lint/rules/index.ts';
import { type ForeignServer, installedVersion, moreServers, PRODUCTS, startForeignServer } from '../support/servers.ts';
import { lintExample } from './example.ts';

/** `RULE=D11 node --test test/lint/proof.test.ts` proves one rule. */
const chosen = RULES.filter(({ code, name }) => [undefined, '', code, name].includes(process.env.RULE));
/** Longer than any example needs. */
const PATIENCE_MS = 2000;
const minorOf = (version: string) => version.split('.').slice(0, 2).join('.');
const labelOf = ({ product, major, minor }: Server) => `${product}@${major}.${minor}`;
/** An error's text, or one as the reply of the last of several commands. */
const FAILURE = /^"?[A-Z]{3,} |^\(no answer/;

/** How to start each server: the installed ones go before fetched ones. */
const startable = new Map<string, Parameters<typeof startForeignServer>[0]>([
  ...[...moreServers()].map(([label, binary]) => [label, { binary }] as const),
  ...PRODUCTS.map((product) => [`${product}@${minorOf(installedVersion(product))}`, product] as const),
]);
const named = new Map(
  (process.env.LINT_SERVERS ?? '')
    .split(' ')
    .filter(Boolean)
    .map((word) => word.split('=') as [string, string]),
);
const started = new Map<string, ForeignServer>();
before(async () => {
  const wanted = [...startable].filter(([label]) => !named.has(label));
  await Promise.all(wanted.map(async ([label, server]) => started.set(label, await startForeignServer(server))));
});
after(() => {
  for (const server of started.values()) server[Symbol.dispose]();
});

function connect(label: string): Redis {
  const [host, port] = named.get(label)?.split(':') ?? ['127.0.0.1', String(started.get(label)!.port)];
  return new Redis({ host: host!, port: Number(port), retryStrategy: null, maxRetriesPerRequest: null });
}

/** What the server answers to the example, as text. */
async function answer(
  label: string,
  example: Example,
  { setup = [], keys = [], argv = [], send }: Run,
): Promise<string> {
  const client = connect(label);
  const killer = connect(label);
  try {
    await client.call('FLUSHALL');
    for (const [name, ...args] of setup) await client.call(name!, ...args);
    const reply = 'lua' in example ? run(client, example.lua, keys, argv) : lastReply(client, send ?? linesOf(example));
    const text = reply.then(
      (value) => JSON.stringify(value),
      (error: Error) => error.message,
    );
    const first = await Promise.race([text, sleep(PATIENCE_MS, undefined, { ref: false })]);
    if (first !== undefined) return first;
    // Answered when the script has run for busy-reply-threshold, if it has not ended by then.
    await killer.call('SCRIPT', 'KILL').catch(() => undefined);
    await text;
    return '(no answer in 2 s)';
  } finally {
    client.disconnect();
    killer.disconnect();
  }
}

const run = (client: Redis, lua: string, keys: string[], argv: string[]) =>
  /^#!\S+ .*\bname=/.test(lua)
    ? client.call('FUNCTION', 'LOAD', 'REPLACE', lua)
    : client.call('EVAL', lua, keys.length, ...keys, ...argv);

function linesOf(example: Example): string[][] {
  assert.ok('commands' in example, 'what no server reads needs what its client would send');
  return example.commands.split('\n').map((line) => line.split(' '));
}

async function lastReply(client: Redis, commands: string[][]): Promise<unknown> {
  let reply: unknown;
  for (const [name, ...args] of commands)
    reply = await client.call(name!, ...args).catch((error: Error) => error.message);
  return reply;
}

/** Why an example cannot be run here; false when it can. */
function lacking(example: Example): string | false {
  const { from, to } = parseProfile(example.profile);
  const missing = [from, to].map(labelOf).filter((label) => !startable.has(label) && !named.has(label));
  return (
    missing.length > 0 &&
    `no server ${missing.join(' and ')}: run test/support/more-servers.sh, or start it and name it in LINT_SERVERS`
  );
}

const sides = (example: BadExample | GoodExample) => {
  const { from, to } = parseProfile(example.profile);
  return Promise.all([from, to].map((server) => answer(labelOf(server), example, example.proof!)));
};

/** The range of a rule, held against every pair of servers that are here. */
async function onEveryPair(rule: Rule, example: BadExample): Promise<void> {
  const labels = [...new Set([...startable.keys(), ...named.keys()])];
  const replies = await Promise.all(labels.map((label) => answer(label, example, example.proof!)));
  for (const [f, from] of labels.entries()) {
    for (const [t, to] of labels.entries()) {
      const profile = `--from ${from} --to ${to}`;
      if (f === t || !rule.range.applies(parseProfile(profile))) continue;
      const { findings } = await lintExample(rule, { ...example, profile });
      if (findings.every(({ severity }) => severity === 'info') || FAILURE.test(replies[t]!)) continue;
      assert.notEqual(replies[f], replies[t], `${profile}: ${findings[0]?.message}`);
    }
  }
}

for (const rule of chosen) {
  describe(`${rule.code} ${rule.name}`, () => {
    for (const [i, example] of rule.examples.bad.entries()) {
      const { proof } = example;
      if (!proof) continue;
      test(`bad example ${i + 1}`, { skip: lacking(example) }, async () => {
        const [from, to] = (await sides(example)) as [string, string];
        assert.match(from, proof.from, 'from');
        assert.match(to, proof.to, 'to');
        if (kindOf(rule) === 'drift') assert.notEqual(from, to);
      });
      if (kindOf(rule) === 'drift') {
        test(`bad example ${i + 1}: where it is flagged, the target fails or differs`, () =>
          onEveryPair(rule, example));
      }
    }
    for (const [i, example] of rule.examples.good.entries()) {
      if (!example.proof) continue;
      test(`good example ${i + 1}`, { skip: lacking(example) }, async () => {
        const [from, to] = (await sides(example)) as [string, string];
        assert.equal(from, to);
      });
    }
  });
}
