/** H31: random members of a set that a script empties in a loop. */
import { destinations, nameServer, type Server } from '../profile.ts';
import { defineRule } from '../rule.ts';

/** Valkey 8.1 brought the hash table that is searched for long when it is sparse. */
const isSlow = ({ product, major, minor }: Server) => product === 'valkey' && major === 8 && minor === 1;

export const randomPopLoop = defineRule({
  code: 'H31',
  name: 'random-pop-loop',
  title: 'random members of a shrinking set',
  category: 'blocking',
  evidence: 'df',
  worst: 'info',
  range: { text: 'Valkey 8.1 as target or way back', applies: (profile) => destinations(profile).some(isSlow) },
  severity: () => 'info',
  mechanism:
    'In the hash table of Valkey 8.1 SPOP and SRANDMEMBER look for a filled bucket at random; in a large set that was emptied they look for long, on the one thread that executes commands.',
  fix: 'Take several at once (SPOP key count), and keep sets that shrink small.',
  proof: 'Reported after an upgrade from Redis 7 (valkey-io/valkey issue 2019); not measured here.',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.1',
        lua: "while true do\n  local id = redis.call('SPOP', KEYS[1])\n  if not id then break end\n  redis.call('RPUSH', KEYS[2], id)\nend",
        at: "redis.call('SPOP'",
      },
    ],
    good: [
      { profile: '--from redis@7.0 --to valkey@8.1', lua: "return redis.call('SPOP', KEYS[1], 100)" },
      { profile: '--from redis@7.0 --to valkey@8.1', lua: "for i = 1, 10 do redis.call('SPOP', KEYS[1]) end" },
    ],
  },
  check: ({ profile, report }) => ({
    call(call) {
      const name = call.names.find((candidate) => candidate === 'spop' || candidate === 'srandmember');
      const loop = call.loops.find(({ bound }) => bound.kind === 'reply' || bound.kind === 'open');
      if (!name || !loop) return;
      const server = destinations(profile).find(isSlow)!;
      report(call.node, {
        message: `${name.toUpperCase()} in a loop that the data bounds: slow on a sparse set of ${nameServer(server)}`,
      });
    },
  }),
});
