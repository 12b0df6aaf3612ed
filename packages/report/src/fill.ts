/**
 * Brings the tables of result pages up to date with a run:
 * `node packages/report/src/fill.ts reports/infrastructure/run.json docs/results/*.md`.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fillTables } from './family-tables.ts';
import { readScenarios } from './read-scenarios.ts';

const [run, ...pages] = process.argv.slice(2);
if (run === undefined || pages.length === 0) {
  process.stderr.write('usage: fill.ts <run.json> <page.md> [<page.md> …]\n');
  process.exitCode = 2;
} else {
  const scenarios = readScenarios('fill', run);
  for (const path of pages) {
    writeFileSync(path, fillTables(readFileSync(path, 'utf8'), scenarios));
  }
}
