/** Prints runs as Markdown, for the summary of a CI job: `node packages/report/src/bin/summary-main.ts reports/infrastructure/run.json …`. */
import { readRun } from '../history/read-run.ts';
import { MAX_BYTES, renderMarkdown } from '../render/markdown.ts';

const paths = process.argv.slice(2);
for (const path of paths) {
  const maxBytes = Math.floor(MAX_BYTES / paths.length);
  process.stdout.write(`${renderMarkdown(readRun(path), { maxBytes })}\n`);
}
