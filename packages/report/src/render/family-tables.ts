import { renderTable } from './markdown.ts';
import type { ScenarioRecord } from '../report.ts';

/**
 * Replaces the tables of a text by the rows of these scenarios: each is between `<!-- scenarios: family -->` and
 * `<!-- /scenarios -->`. The table of a family that did not run is kept.
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
