import type { RunReport } from '../report.ts';
import { renderTitle } from '../violations.ts';

/** Renders the answer of an endpoint for shields.io: `128 passed, 0 lost` in green, or what is wrong in red. */
export function renderBadge(run: RunReport): string {
  const title = renderTitle(run);
  const isGood = title === 'all passed';
  const { length } = run.scenarios;
  const message = isGood ? `${run.totals.passed} passed${length > 0 ? ', 0 lost' : ''}` : title;
  const color = isGood
    ? 'brightgreen'
    : run.totals.passed === 0 && title === 'no test passed'
      ? 'lightgrey'
      : 'red';
  return `${JSON.stringify({ schemaVersion: 1, label: 'holdfast', message, color })}\n`;
}
