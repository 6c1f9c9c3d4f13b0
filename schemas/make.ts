/** The artefacts' own zod schemas → JSON Schemas (draft 2020-12) for editors and other tools. By hand: `node schemas/make.ts`. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { sidecarSchema } from '../src/capture/record/sidecar.ts';
import { BudgetSchema } from '../src/compare/budget.ts';
import { RehearsalSchema } from '../src/measure/folder.ts';
import { TimelineSchema } from '../src/measure/timeline.ts';
import { modelSchema } from '../src/model/model.ts';
import { OverridesSchema } from '../src/model/overrides/overrides-file.ts';
import { DoctorSchema, HistorySchema, ShardSchema } from './answers.ts';
import { LintSchema } from './lint.ts';
import { VerdictSchema } from './verdict.ts';

/** What the schema is called in the documents themselves (`cutover/NAME@1`), what it describes, and its zod. */
const ARTEFACTS = {
  budget: ['What a candidate may cost: the file for --budget.', BudgetSchema],
  capture: ['NAME.capture.json: what the recorder of a capture knows and its lines cannot tell.', sidecarSchema],
  doctor: ['What `cutover doctor --json` prints.', DoctorSchema],
  history: ['What `cutover report A B --json` prints.', HistorySchema],
  lint: ['What `cutover lint --json` prints.', LintSchema],
  model: ['The statistics of a workload: model.json, and what `cutover model --output` writes.', modelSchema],
  overrides: ['model.yaml: what a person wants different from the capture; the file for --config.', OverridesSchema],
  rehearsal: ['rehearsal.json: what was done and measured.', RehearsalSchema],
  shard: ['What `cutover run --shard I/N --json` prints.', ShardSchema],
  timeline: ['timeline/*.json: what happened when in one slice.', TimelineSchema],
  verdict: ['verdict.json, and what `run`, `compare` and `report` print with --json.', VerdictSchema],
} as const satisfies Record<string, [string, z.ZodType]>;

/** Every generated file: name → text. */
export function makeSchemas(): Map<string, string> {
  return new Map(
    Object.entries(ARTEFACTS).map(([name, [description, schema]]) => {
      // Files are described as they are written, before defaults and units are resolved.
      const { $schema, title: _, description: __, ...rest } = z.toJSONSchema(schema, { io: 'input' });
      const document = { $schema, $id: `urn:cutover:${name}:1`, title: `cutover/${name}@1`, description, ...rest };
      return [`${name}.schema.json`, `${JSON.stringify(document, null, 2)}\n`];
    }),
  );
}

if (import.meta.main) {
  for (const [name, text] of makeSchemas()) writeFileSync(join(import.meta.dirname, name), text);
}
