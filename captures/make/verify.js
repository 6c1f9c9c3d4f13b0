// Checks each capture against the server's own count of what it ran: node verify.js [NAME...]
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';

const CAPTURES = fileURLToPath(new URL('..', import.meta.url));
const LARGEST_BYTES = 400_000;

const HEADER = /^(\d+)\.(\d{6}) \[(\d+) (lua|[\d.]+:\d+)\] /;
const ARGUMENT = /"((?:[ !#-[\]-~]|\\(?:["\\nrtab]|x[0-9a-f]{2}))*)"/y;

/** Commands whose commandstats entry carries the subcommand, as in `client|setname`. */
const CONTAINERS = new Set([
  'acl',
  'client',
  'cluster',
  'command',
  'config',
  'function',
  'latency',
  'memory',
  'module',
  'object',
  'pubsub',
  'script',
  'slowlog',
  'xgroup',
  'xinfo',
]);

const named = process.argv.slice(2);
const names =
  named.length > 0
    ? named
    : readdirSync(CAPTURES)
        .filter((file) => file.endsWith('.monitor.gz'))
        .map((file) => file.replace('.monitor.gz', ''));
const failed = names.filter((name) => !verify(name));
if (failed.length > 0 || names.length === 0) {
  console.log(`differences in: ${failed.join(', ') || 'no captures found'}`);
  process.exitCode = 1;
}

function verify(name) {
  const compressed = readFileSync(`${CAPTURES}${name}.monitor.gz`);
  const sidecar = JSON.parse(readFileSync(`${CAPTURES}${name}.capture.json`, 'utf8'));
  const capture = read(gunzipSync(compressed).toString('latin1'));

  console.log(
    `${name}: ${capture.lines} lines, ${capture.parsed} parsed, ${capture.rejects.length} rejected, ${capture.stepsBack} steps back in time`,
  );
  console.log(
    `${capture.spanSeconds.toFixed(3)} s, ${Math.round(capture.parsed / capture.spanSeconds)} commands/s, ${capture.clients.size} clients, databases ${[...capture.databases].sort().join(' ')}, ${compressed.length} bytes compressed`,
  );
  for (const reject of capture.rejects.slice(0, 5)) console.log(`  rejected: ${reject.slice(0, 120)}`);

  const calls = callsBetween(sidecar.bursts[0].before.commandstats, sidecar.bursts[0].after.commandstats);
  const recorder = new Set(sidecar.recorderCommands);
  const commands = [...new Set([...capture.counts.keys(), ...calls.keys()])].sort();
  let differences = 0;
  for (const command of commands) {
    const { client = 0, lua = 0 } = capture.counts.get(command) ?? {};
    const difference = client + lua - (calls.get(command) ?? 0);
    const excused = recorder.has(command) && difference < 0;
    if (difference !== 0 && !excused) differences++;
    const remark = difference === 0 ? '' : excused ? `  ${-difference} by the recorder` : `  DIFFERS by ${difference}`;
    console.log(
      `  ${command.padEnd(20)} client ${String(client).padStart(6)}  lua ${String(lua).padStart(6)}  calls ${String(calls.get(command) ?? 0).padStart(6)}${remark}`,
    );
  }
  const tooLarge = compressed.length > LARGEST_BYTES;
  if (tooLarge) console.log(`  larger than ${LARGEST_BYTES} bytes`);
  console.log('');
  return differences === 0 && capture.rejects.length === 0 && !tooLarge;
}

function read(text) {
  const lines = text.split('\n');
  const complete = lines.pop() === '' && lines[0] === 'OK';
  const found = {
    lines: lines.length,
    parsed: 0,
    rejects: complete ? [] : ['first line is not OK or last line is cut'],
    counts: new Map(),
    clients: new Set(),
    databases: new Set(),
    stepsBack: 0,
  };
  let firstUs;
  let lastUs;
  for (const line of lines.slice(1)) {
    const event = parse(line);
    if (!event) {
      found.rejects.push(line);
      continue;
    }
    found.parsed++;
    found.databases.add(event.database);
    if (event.source !== 'lua') found.clients.add(event.source);
    const kind = event.source === 'lua' ? 'lua' : 'client';
    const count = found.counts.get(event.command) ?? { client: 0, lua: 0 };
    count[kind]++;
    found.counts.set(event.command, count);
    firstUs ??= event.atUs;
    if (event.atUs < lastUs) found.stepsBack++;
    lastUs = event.atUs;
  }
  return { ...found, spanSeconds: (lastUs - firstUs) / 1e6 };
}

/** One line by the grammar of Redis 2.6 and later; undefined if a single byte is out of place. */
function parse(line) {
  const header = HEADER.exec(line);
  if (!header) return undefined;
  const [prefix, seconds, micros, database, source] = header;
  const words = [];
  ARGUMENT.lastIndex = prefix.length;
  for (;;) {
    const match = ARGUMENT.exec(line);
    if (!match) return undefined;
    if (words.length < 2) words.push(match[1].toLowerCase());
    const end = match.index + match[0].length;
    if (end === line.length) break;
    if (line[end] !== ' ') return undefined;
    ARGUMENT.lastIndex = end + 1;
  }
  const command = CONTAINERS.has(words[0]) && words.length > 1 ? words.join('|') : words[0];
  return { atUs: Number(seconds) * 1e6 + Number(micros), database, source, command };
}

function callsBetween(before, after) {
  const calls = (stats, field) => Number(/calls=(\d+)/.exec(stats[field] ?? 'calls=0')[1]);
  const found = new Map();
  for (const field of Object.keys(after)) {
    const count = calls(after, field) - calls(before, field);
    if (count > 0) found.set(field.replace('cmdstat_', ''), count);
  }
  return found;
}
