/** To add a report format: write a function from a judged rehearsal to text in a file of its own, and list it below. */
import { reportCsv } from './csv.ts';
import { reportGithub } from './github.ts';
import { reportHdr } from './hdr.ts';
import { reportHtml } from './html.ts';
import { reportJson } from './json.ts';
import { reportJunit } from './junit.ts';
import { reportMarkdown } from './markdown.ts';
import { reportOpenmetrics } from './openmetrics.ts';
import type { ReportSource } from './source.ts';
import { reportTerminal } from './terminal.ts';

/**
 * Ends with a newline. Whatever the source holds from outside (families, error prefixes, server names) comes out
 * escaped for the format. `stream` is where the text will go, for the formats that colour; without it there is no colour.
 */
export type Reporter = (source: ReportSource, stream?: NodeJS.WriteStream) => string;

export const FORMATS = {
  terminal: reportTerminal,
  json: reportJson,
  markdown: reportMarkdown,
  junit: reportJunit,
  github: reportGithub,
  csv: reportCsv,
  hdr: reportHdr,
  html: reportHtml,
  openmetrics: reportOpenmetrics,
} satisfies Record<string, Reporter>;
