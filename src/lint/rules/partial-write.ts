/** H20: errors that a script raises after it has written. */
import type { CommandCall, Node, Script } from '../program.ts';
import { defineRule } from '../rule.ts';
import { partsOf } from '../values.ts';

/** The expression by which a script answers an error: error(…), return redis.error_reply(…), return {err = …}. */
function isFailure(script: Script, node: Node): boolean {
  const name = script.libraryOf(node);
  if (name === 'error') return true;
  if (script.scopes.parentOf(node)?.type !== 'ReturnStatement') return false;
  if (name === 'redis.error_reply') return true;
  return (
    node.type === 'TableConstructorExpression' &&
    node.fields.some((field) => field.type === 'TableKeyString' && field.key.name === 'err')
  );
}

/** Statements that have run whenever `node` runs: before it in its block, or in a block around. */
function* statementsBefore(script: Script, node: Node): Generator<Node> {
  for (let child = node, at = script.scopes.parentOf(node); at; child = at, at = script.scopes.parentOf(at)) {
    if (at.type === 'FunctionDeclaration') return;
    const body: Node[] = 'body' in at && Array.isArray(at.body) ? at.body : [];
    yield* body.slice(0, Math.max(0, body.indexOf(child)));
  }
}

/** The command that a statement calls in any case, on its own or as what it assigns. */
function commandOf(script: Script, statement: Node): CommandCall | undefined {
  if (statement.type === 'CallStatement') return script.commandCallOf(statement.expression);
  if (statement.type !== 'LocalStatement' && statement.type !== 'AssignmentStatement') return undefined;
  return statement.init.map((value) => script.commandCallOf(value)).find((call) => call !== undefined);
}

export const partialWrite = defineRule({
  code: 'H20',
  name: 'partial-write-before-check',
  title: 'errors behind writes',
  category: 'atomicity',
  evidence: 'df',
  worst: 'info',
  range: { text: 'all', applies: () => true },
  severity: () => 'info',
  mechanism:
    'Scripts are isolated, not transactional: an error ends the script and leaves what it has written so far, on every release of both products. A client that takes the error for "nothing happened" repeats the write.',
  fix: 'Read and check everything first, write last.',
  proof: 'The counter of the example is 1 after the error, on Redis 7.0.15 and Valkey 8.0.1.',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "redis.call('INCR', KEYS[1])\nif #ARGV == 0 then return redis.error_reply('ERR no member') end\nreturn redis.call('SADD', KEYS[2], ARGV[1])",
        at: 'redis.error_reply',
        proof: { keys: ['n', 's'], from: /no member/, to: /no member/ },
      },
    ],
    good: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "if #ARGV == 0 then return redis.error_reply('ERR no member') end\nredis.call('INCR', KEYS[1])\nreturn redis.call('SADD', KEYS[2], ARGV[1])",
        note: 'Checked first.',
        proof: { keys: ['n', 's'], argv: ['x'] },
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "local set = redis.call('SET', KEYS[1], ARGV[1], 'NX')\nif not set then return redis.error_reply('ERR taken') end\nreturn set",
        note: 'The error says that nothing was written.',
        proof: { keys: ['k'], argv: ['x'] },
      },
    ],
  },
  check: ({ profile, report }) => ({
    script(script) {
      for (const node of script.scopes.nodes) {
        if (!isFailure(script, node)) continue;
        const about = script
          .guardsAround(node)
          .flatMap(({ condition }) =>
            script.scopes
              .inside(condition)
              .flatMap((part) =>
                'name' in part || part.type.endsWith('Expression') ? [...partsOf(script.valueOf(part as never))] : [],
              ),
          );
        for (const statement of statementsBefore(script, node)) {
          const call = commandOf(script, statement);
          if (!call?.writes(profile.to)) continue;
          // An error about the write itself: it did not happen.
          if (about.some((part) => part.kind === 'reply' && part.call === call)) continue;
          report(node, {
            message: `this error comes after ${call.names[0]!.toUpperCase()} has written, and that stays`,
          });
          break;
        }
      }
    },
  }),
});
