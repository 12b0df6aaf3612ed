import { measuresOf } from './measures.ts';
import type { RunReport, ScenarioRecord } from '../report.ts';
import { oneLine } from './terminal.ts';
import { renderViolations } from '../violations.ts';

/** Renders the warnings of a run, then its scenarios; empty when there is neither. */
export function renderMarkdown({
  scenarios,
  interrupted = false,
}: Pick<RunReport, 'scenarios'> & Partial<Pick<RunReport, 'interrupted'>>): string {
  const losses = renderViolations(scenarios);
  const head = [
    ...(interrupted ? ['The run was stopped before its end.'] : []),
    ...(losses === '' ? [] : [`${losses}.`]),
  ].join(' ');
  const table = renderTable(scenarios);
  return [head === '' ? '' : `**${head}**\n`, table].filter((piece) => piece !== '').join('\n');
}

/** Renders the scenario table as Markdown, for a page or the summary of a CI job; empty without scenarios. */
export function renderTable(scenarios: readonly ScenarioRecord[]): string {
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
