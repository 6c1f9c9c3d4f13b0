/** Captured subscribers → who listens in a slice: in both modes, disguised as the channels of PUBLISH are. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildModel } from '../../src/model/build.ts';
import { SubscriptionFollower } from '../../src/model/fit/subscriptions.ts';
import { mergeModels } from '../../src/model/merge.ts';
import { type Model, modelSchema } from '../../src/model/model.ts';
import { ArgumentDisguise } from '../../src/plan/exact/disguise.ts';
import { ExactWorkload } from '../../src/plan/exact/exact.ts';
import type { Slice } from '../../src/plan/plan.ts';
import { readCommand } from '../../src/plan/planned-ops.ts';
import { ShardedWorkload } from '../../src/plan/shard.ts';
import { Synthesis } from '../../src/plan/synthesis/synthesize.ts';
import { temporaryFile } from '../support/capture.ts';
import { type Line, modelOf, monitorLine } from '../support/workload.ts';

const T0 = 1_700_000_000e6;
const at = (seconds: number, client: number, ...args: string[]): Line => ({
  atUs: T0 + seconds * 1e6,
  client: `10.0.0.${client}:1000`,
  args,
});

const lines = [
  at(0, 1, 'subscribe', 'news:ann', 'cache'),
  at(0.1, 2, 'psubscribe', 'news:*'),
  at(0.2, 9, 'publish', 'news:ann', 'one'),
  at(0.3, 3, 'subscribe', 'cache'),
  at(0.9, 3, 'unsubscribe'),
  // It subscribed before the capture began.
  at(1.2, 4, 'unsubscribe', 'cache'),
  at(1.5, 9, 'publish', 'cache', 'two'),
  at(1.6, 9, 'spublish', 'shard', 'three'),
  at(1.7, 5, 'ssubscribe', 'shard'),
  at(2, 9, 'ping'),
];
const textOf = ({ subscriptions = [] }: Slice) =>
  subscriptions.map(({ subscriber, kind, name }) => `${subscriber} ${kind} ${name}`).sort();
const idsOf = (workload: { caveats: { id: string }[] }) => workload.caveats.map(({ id }) => id);

async function exactOf(disguise?: ArgumentDisguise): Promise<ExactWorkload> {
  const capture = temporaryFile('capture.log', `OK\n${lines.map(monitorLine).join('')}`);
  const { model, captured } = await buildModel(capture, { keepKeys: true });
  return ExactWorkload.read({
    ...{ capture, model, captured: captured! },
    seed: '1',
    epochSeconds: 1,
    seconds: 2,
    ...(disguise ? { disguise } : {}),
  });
}

test('the model counts listeners at once, also those from before the capture', async () => {
  const model = await modelOf(lines);
  assert.deepEqual(model.subscriptions, [
    { kind: 'channel', name: 'news:ann', change: 1, peak: 1, low: 0 },
    { kind: 'channel', name: 'cache', change: 0, peak: 2, low: 0 },
    { kind: 'pattern', name: 'news:*', change: 1, peak: 1, low: 0 },
    { kind: 'shard', name: 'shard', change: 1, peak: 1, low: 0 },
  ]);
  assert.deepEqual(model.leftOut, {});
  const before = await modelOf([at(0, 1, 'unsubscribe', 'a'), at(1, 1, 'publish', 'a', 'x')]);
  assert.deepEqual(before.subscriptions, [{ kind: 'channel', name: 'a', change: -1, peak: 0, low: -1 }]);
});

test('parts of a capture, merged, count what the whole does', async () => {
  const whole = await modelOf(lines);
  const parts = await Promise.all([modelOf(lines.slice(0, 5)), modelOf(lines.slice(5))]);
  assert.deepEqual(mergeModels(parts).subscriptions, whole.subscriptions);
});

test('captures of the same time, merged, have the listeners of both', async () => {
  const node = (client: number) =>
    modelOf([at(0, client, 'subscribe', 'cache'), at(1, client, 'unsubscribe'), at(2, 9, 'get', 'a')]);
  const { subscriptions } = mergeModels(await Promise.all([node(1), node(2)]));
  assert.deepEqual(subscriptions, [{ kind: 'channel', name: 'cache', change: 0, peak: 2, low: 0 }]);
});

test('names of which there are many, or long ones, are not kept: of that kind none', async () => {
  const users = (from: number, count: number) =>
    Array.from({ length: count }, (_, i) => at(from + i / 100, 1, 'subscribe', `user:${from}${i}`));
  const read = at(0.5, 9, 'get', 'a');
  const few = [at(0, 1, 'psubscribe', 'news:*'), ...users(0, 24), read];
  const kindsOf = ({ subscriptions = [] }: Model) => [...new Set(subscriptions.map(({ kind }) => kind))];
  assert.equal((await modelOf(few)).subscriptions!.length, 25);
  const many = [...few, ...users(1, 1), at(2, 9, 'publish', 'user:00', 'x'), at(3, 9, 'publish', 'user:00', 'x')];
  const model = await modelOf(many);
  assert.deepEqual(kindsOf(model), ['pattern']);
  assert.ok(idsOf(new Synthesis(model, { seed: '1', epochSeconds: 1 })).includes('channels-invented'));
  assert.deepEqual(kindsOf(await modelOf([...few, at(1, 1, 'subscribe', 'x'.repeat(25))])), ['pattern']);
  const parts = await Promise.all([modelOf(few), modelOf([...users(1, 24), read]), modelOf([...users(2, 3), read])]);
  assert.deepEqual(kindsOf(mergeModels(parts)), ['pattern']);
});

test('a model names no more than a capture can show: each name may be a thousand connections', async () => {
  const model = await modelOf(lines);
  const named = (count: number) => ({
    ...model,
    subscriptions: Array.from({ length: count }, (_, i) => ({ ...model.subscriptions![0]!, name: `${i}` })),
  });
  assert.ok(modelSchema.safeParse(named(72)).success);
  assert.match(String(modelSchema.safeParse(named(73)).error), /subscriptions/);
});

test('subscriptions are followed as far as there is memory for their names', () => {
  const heard: string[] = [];
  const follower = new SubscriptionFollower((kind, name, begins) => heard.push(`${kind} ${name.length} ${begins}`));
  const add = (command: string, ...names: string[]) =>
    follower.add({
      ...{ command, clientId: 1, atUs: 0, argCount: names.length + 1 },
      arg: (i) => Buffer.from(i === 0 ? command : names[i - 1]!),
    });
  for (let i = 0; i < 20; i++) add('subscribe', `${i}`.padEnd(1 << 20, 'x'));
  assert.equal(heard.length, 15, 'names of 1 MiB each');
  add('psubscribe', 'p');
  add('unsubscribe', 'y'.repeat(1 << 20));
  assert.equal(heard.length, 16, 'it may be one of those that are not followed');
  add('unsubscribe');
  assert.equal(heard.length, 31);
  assert.ok(!heard.includes('pattern 1 false'));
  add('subscribe', 'z'.repeat(1 << 20));
  assert.equal(heard.length, 32, 'there is room again');
});

test('modelled: as many listen as did at most, in every slice', async () => {
  const workload = new Synthesis(await modelOf(lines), { seed: '1', epochSeconds: 1 });
  for (const from of [0, 1])
    assert.deepEqual(textOf(workload.slice(0, from, 1)), [
      '0 channel cache',
      '0 channel news:ann',
      '0 pattern news:*',
      '0 shard shard',
      '1 channel cache',
    ]);
  assert.ok(!idsOf(workload).includes('commands-left-out'));
});

test('modelled: no more listen than can be connected, and that is said', async () => {
  const model = await modelOf(lines);
  const [news] = model.subscriptions!;
  const workload = new Synthesis(
    { ...model, subscriptions: [{ ...news!, peak: 4e9 }] },
    { seed: '1', epochSeconds: 1 },
  );
  assert.equal(workload.slice(0, 0, 1).subscriptions!.length, 1000);
  assert.ok(idsOf(workload).includes('subscribers-many'));
  assert.ok(!idsOf(new Synthesis(model, { seed: '1', epochSeconds: 1 })).includes('subscribers-many'));
});

test('exact: in a window listens who did at any time in it', async () => {
  const workload = await exactOf();
  const clients = (slice: Slice) => textOf(slice).map((text) => text.slice(text.indexOf(' ') + 1));
  assert.deepEqual(clients(workload.slice(0, 0, 1)).sort(), [
    'channel cache',
    'channel cache',
    'channel cache',
    'channel news:ann',
    'pattern news:*',
  ]);
  assert.deepEqual(clients(workload.slice(0, 1, 1)).sort(), [
    'channel cache',
    'channel cache',
    'channel news:ann',
    'pattern news:*',
    'shard shard',
  ]);
  const commands = new Set(workload.plan.labels.map(({ command }) => command));
  assert.deepEqual([...commands].sort(), ['publish', 'spublish'], 'a subscription is no op');
});

test('exact and anonymised: channels of subscribers and of PUBLISH stay the same ones, and are named otherwise', async () => {
  const long = `user:${'secretperson'.repeat(8)}`;
  lines.splice(1, 0, at(0.05, 1, 'subscribe', long), at(0.06, 9, 'publish', long, 'x'));
  try {
    const workload = await exactOf(new ArgumentDisguise('secret', { families: [], scripts: [] }));
    const slice = workload.slice(0, 0, 2);
    const published = new Set<string>();
    for (let op = 0; op < slice.count; op++)
      published.add(Buffer.from(readCommand(slice.bytes, slice.offset[op]!)[1]!).toString('latin1'));
    const heard = new Set(slice.subscriptions!.flatMap(({ kind, name }) => (kind === 'pattern' ? [] : name)));
    assert.deepEqual([...published].sort(), [...heard].sort());
    assert.equal(published.size, 4);
    assert.doesNotMatch([...published, ...heard].join(), /secretperson|cache|shard|news/);
    const pattern = slice.subscriptions!.find(({ kind }) => kind === 'pattern')!.name;
    assert.ok([...published].some((name) => name.startsWith(pattern.slice(0, -1)) && pattern.endsWith(':*')));
  } finally {
    lines.splice(1, 2);
  }
});

test('exact and anonymised: a pattern that stands for parts of words is said to hear less', async () => {
  const disguise = new ArgumentDisguise('secret', { families: [], scripts: [] });
  const caveatsWith = async (patterns: string[], by?: ArgumentDisguise) => {
    lines.splice(1, 0, at(0.05, 1, 'psubscribe', ...patterns));
    try {
      return (await exactOf(by)).caveats.filter(({ id }) => id === 'patterns-disguised');
    } finally {
      lines.splice(1, 1);
    }
  };
  const parting = ['news*', '*room', 'n?ws:x', 'news:[ab]', 'é*'];
  const [caveat] = await caveatsWith([...parting, 'news:*'], disguise);
  assert.deepEqual(caveat?.numbers, { patterns: parting.length });
  assert.deepEqual(await caveatsWith(parting), [], 'as captured');
  assert.deepEqual(await caveatsWith(['*', '*:ann', 'news:*:ann', 'a:?', 'news\\*'], disguise), []);
});

test('shards share the subscribers out', async () => {
  const whole = await exactOf();
  // One connection publishes: the shards' own ops do not matter here.
  whole.plan.connections.push({ db: 0 });
  const parts = [1, 2].map((number) => new ShardedWorkload(whole, { number, count: 2 }).slice(0, 0, 2));
  const all = parts.flatMap(textOf).sort();
  assert.deepEqual(all, textOf(whole.slice(0, 0, 2)));
  assert.ok(parts.every((part) => textOf(part).length > 0));
});

test('what nobody can hear is said', async () => {
  const silent = new Synthesis(await modelOf([at(0, 1, 'publish', 'a', 'x'), at(1, 1, 'publish', 'a', 'y')]), {
    ...{ seed: '1', epochSeconds: 1 },
  });
  assert.ok(idsOf(silent).includes('messages-unheard'));
  const many = Array.from({ length: 60 }, (_, i) => at(i / 100, 1, 'publish', `room:${i}:${'x'.repeat(30)}`, 'text'));
  const model = await modelOf([at(0, 2, 'subscribe', 'a', '__keyspace@0__:*'), ...many]);
  const ids = idsOf(new Synthesis(model, { seed: '1', epochSeconds: 1 }));
  assert.ok(ids.includes('channels-invented') && ids.includes('keyspace-notifications'));
  assert.ok(!ids.includes('messages-unheard'));
});
