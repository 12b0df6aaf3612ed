/**
 * Brings the tables of READMEs up to date with a run:
 * `node packages/report/src/fill.ts reports/infrastructure/run.json README.md packages/…/README.md`.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fillTables } from './family-tables.ts';
import { readScenarios } from './read-scenarios.ts';

const [run, ...readmes] = process.argv.slice(2);
if (run === undefined || readmes.length === 0) {
  process.stderr.write('usage: fill.ts <run.json> <README.md> [<README.md> …]\n');
  process.exitCode = 2;
} else {
  const scenarios = readScenarios('fill', run);
  for (const path of readmes) {
    writeFileSync(path, fillTables(readFileSync(path, 'utf8'), scenarios));
  }
}
