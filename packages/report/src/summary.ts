/** Scenarios of runs as Markdown: `node packages/report/src/summary.ts reports/infrastructure/run.json …`. */
import { renderMarkdown } from './markdown.ts';
import { readScenarios, wasInterrupted } from './read-scenarios.ts';

for (const path of process.argv.slice(2)) {
  const scenarios = readScenarios('summary', path);
  process.stdout.write(renderMarkdown({ scenarios, interrupted: wasInterrupted(path) }));
}
