/**
 * Updates the tables of result pages from a run:
 * `node packages/report/src/bin/fill-results-main.ts reports/infrastructure/run.json docs/results/*.md`.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fillTables } from '../render/family-tables.ts';
import { readRun } from '../history/read-run.ts';

const [run, ...pages] = process.argv.slice(2);
if (run === undefined || pages.length === 0) {
  process.stderr.write('usage: fill.ts <run.json> <page.md> [<page.md> …]\n');
  process.exitCode = 2;
} else {
  const { scenarios } = readRun(run);
  for (const path of pages) {
    writeFileSync(path, fillTables(readFileSync(path, 'utf8'), scenarios));
  }
}
