/** What a report is made of: a judgement and the stored rehearsal that was judged, whose big parts are read when asked for. */
import type { Judgement } from '../compare/judgement.ts';
import type { StoredRehearsal } from '../measure/folder.ts';

export interface ReportSource
  extends Pick<StoredRehearsal, 'rehearsal' | 'modelText' | 'latencyOf' | 'timelineOf' | 'samplesOf'> {
  judgement: Judgement;
}
