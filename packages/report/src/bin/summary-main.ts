/** Prints the scenarios of runs as Markdown: `node packages/report/src/bin/summary-main.ts reports/infrastructure/run.json …`. */
import { renderMarkdown } from '../render/markdown.ts';
import { parseScenarios, wasInterrupted } from '../read-scenarios.ts';

for (const path of process.argv.slice(2)) {
  const scenarios = parseScenarios('summary', path);
  process.stdout.write(renderMarkdown({ scenarios, interrupted: wasInterrupted(path) }));
}
