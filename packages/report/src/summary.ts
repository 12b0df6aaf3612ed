/** Scenarios of runs as Markdown: `node packages/report/src/summary.ts reports/infrastructure/run.json …`. */
import { readFileSync } from 'node:fs';
import { InvalidOptionError } from '@holdfast/resilience';
import { renderMarkdown } from './markdown.ts';
import { readScenario } from './scenario.ts';

for (const path of process.argv.slice(2)) {
  const run: unknown = JSON.parse(readFileSync(path, 'utf8'));
  if (
    typeof run !== 'object' ||
    run === null ||
    !('scenarios' in run) ||
    !Array.isArray(run.scenarios)
  ) {
    throw new InvalidOptionError('summary', path, run, 'a run.json');
  }
  const scenarios = run.scenarios.map((given) => readScenario('summary', given));
  process.stdout.write(renderMarkdown({ scenarios }));
}
