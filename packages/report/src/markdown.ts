import { measuresOf } from './measures.ts';
import type { RunReport } from './report.ts';
import { oneLine } from './terminal.ts';

/** The scenario table as Markdown, for a README or the summary of a CI job; empty without scenarios. */
export function renderMarkdown({ scenarios }: Pick<RunReport, 'scenarios'>): string {
  if (scenarios.length === 0) return '';
  const measures = measuresOf(scenarios);
  const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |\n`;
  const header = ['Promise', 'Fault', ...measures.map(({ title }) => title)];
  const rule = ['---', '---', ...measures.map(() => '---:')];
  const rows = scenarios.map((scenario) => [
    cell(scenario.scenario),
    cell(scenario.fault),
    ...measures.map(({ read }) => read(scenario) ?? '–'),
  ]);
  return [header, rule, ...rows].map(row).join('');
}

function cell(text: string): string {
  return oneLine(text).replaceAll(/[\\|<>`*_]/gu, (mark) => `\\${mark}`);
}
