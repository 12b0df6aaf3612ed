import { renderTable } from './markdown.ts';
import type { ScenarioRecord } from '../report.ts';

/**
 * A text whose tables have the rows of these scenarios: each stands between `<!-- scenarios: family -->` and
 * `<!-- /scenarios -->`. A table of a family that was not played stays as it is.
 */
export function fillTables(text: string, scenarios: readonly ScenarioRecord[]): string {
  return text.replaceAll(
    /(<!-- scenarios: ([\w-]+) -->\n).*?(<!-- \/scenarios -->)/gs,
    (table: string, head: string, family: string, foot: string) => {
      const own = scenarios.filter((scenario) => scenario.family === family);
      return own.length === 0 ? table : `${head}\n${renderTable(own)}\n${foot}`;
    },
  );
}
