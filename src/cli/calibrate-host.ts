/** Rounds of one server against itself → what this host can resolve, and how often it called equal servers different. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseBudget } from '../compare/budget.ts';
import {
  type Calibration,
  calibrate,
  type FalseAlarms,
  falseAlarmsOn,
  formatRecord,
  parseHistory,
  recordOf,
} from '../compare/calibration.ts';
import type { Verdict } from '../compare/judgement.ts';
import { type RehearseOptions, rehearse } from './rehearse.ts';

export interface HostCalibration extends Calibration {
  verdict: Verdict;
  falseAlarms: FalseAlarms;
  /** The file that every calibration of this user's adds a line to. */
  history: string;
  rehearsal: string;
}

/** `$XDG_STATE_HOME/cutover/calibration.jsonl`, or the same under `~/.local/state`. */
const historyPath = () =>
  join(process.env.XDG_STATE_HOME || join(homedir(), '.local/state'), 'cutover', 'calibration.jsonl');

/**
 * Rehearses the baseline against itself and keeps the result in this user's history.
 * Throws CutoverError as `rehearse`, and E_CALIBRATION (usage) for a history that cannot be read.
 */
export async function calibrateHost(options: RehearseOptions): Promise<HostCalibration> {
  const { baseline } = options.specs;
  const history = historyPath();
  const known = parseHistory(await readFile(history, 'utf8').catch(() => ''), history);
  const { rehearsal, judgement, latencyOf, budgetText, path } = await rehearse({
    ...options,
    specs: { baseline, candidate: baseline },
  });
  const calibration = calibrate(rehearsal, latencyOf, parseBudget(budgetText, options.budget.name));
  const records = [...known, recordOf(rehearsal, judgement, calibration)];
  await mkdir(dirname(history), { recursive: true });
  await writeFile(history, records.map(formatRecord).join(''));
  const falseAlarms = falseAlarmsOn(rehearsal.machine, records);
  return { ...calibration, verdict: judgement.verdict, falseAlarms, history, rehearsal: path };
}
