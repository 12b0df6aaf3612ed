import { stripVTControlCharacters, styleText } from 'node:util';
import { formatDuration } from '../duration.ts';
import { type MeasureTone, measuresOf } from './measures.ts';
import type { RunReport, ScenarioRecord, Totals } from '../report.ts';
import { renderViolations } from '../violations.ts';
import { displayWidth, oneLine, wrap } from './width.ts';

/** Options of `renderTerminal`. */
export interface TerminalOptions {
  /** The width of the screen, in cells; `Infinity` wraps nothing. */
  readonly columns: number;
  /** Whether outcomes have colors. */
  readonly color: boolean;
}

interface Cell {
  readonly text: string;
  readonly tone: MeasureTone;
}
interface Column {
  readonly title: string;
  readonly align: 'left' | 'right';
  readonly cells: readonly Cell[];
}

const GAP = '  ';
/** The scenarios that are shown one by one; of a longer run only the worst, for the page has all. */
const MAX_SHOWN = 20;
const WORST_SHOWN = 10;
const INDENT = '    ';

/**
 * Renders the scenarios, worst first; empty without scenarios. They are a table if it fits into `columns`, else a
 * paragraph each, wrapped. A run of more than 20 is a line for each family, and the ten worst scenarios. Lines have no
 * line break, and none is wider than `columns` of at least 20.
 */
export function renderScenarios(run: RunReport, options: TerminalOptions): string[] {
  const { scenarios } = run;
  if (scenarios.length === 0) return [];
  if (scenarios.length <= MAX_SHOWN) {
    const table = renderTable(scenarios, options);
    const widest = Math.max(
      ...table.map((line) => displayWidth(options.color ? stripVTControlCharacters(line) : line)),
    );
    return widest <= options.columns ? table : paragraphs(scenarios, options);
  }
  return [
    ...renderFamilies(scenarios, options),
    '',
    ...wrap(
      `the worst of them; the other ${scenarios.length - WORST_SHOWN} are in the report:`,
      options.columns,
    ),
    ...paragraphs(scenarios.slice(0, WORST_SHOWN), options),
  ];
}

function renderTable(scenarios: readonly ScenarioRecord[], { color }: TerminalOptions): string[] {
  const prose = (title: string, read: (scenario: ScenarioRecord) => string): Column => ({
    title,
    align: 'left',
    cells: scenarios.map((scenario) => ({ text: oneLine(read(scenario)), tone: 'plain' })),
  });
  const columns: Column[] = [
    prose('Scenario', ({ family, scenario }) => `${family}: ${scenario}`),
    prose('Fault', ({ fault }) => fault),
    ...measuresOf(scenarios).map(({ short, read, tone }): Column => ({
      title: short,
      align: 'right',
      cells: scenarios.map((scenario) => ({ text: read(scenario) ?? '–', tone: tone(scenario) })),
    })),
  ];
  const widths = columns.map(({ title, cells }) =>
    cells.reduce((widest, { text }) => Math.max(widest, displayWidth(text)), displayWidth(title)),
  );
  const line = (cellOf: (column: Column) => Cell): string =>
    columns
      .map((column, index) => {
        const { text, tone } = cellOf(column);
        return paint(pad(text, widths[index] ?? 0, column.align), tone, color);
      })
      .join(GAP)
      .trimEnd();
  const header = line(({ title }) => ({ text: title, tone: 'plain' }));
  return [
    bold(header, color),
    ...scenarios.map((_, row) => line(({ cells }) => cells[row] ?? { text: '', tone: 'plain' })),
  ];
}

/** Each scenario as its name, its fault and its measures, each on as many lines as it needs. */
function paragraphs(
  scenarios: readonly ScenarioRecord[],
  { columns, color }: TerminalOptions,
): string[] {
  return scenarios.flatMap((scenario) => {
    const measured = measuresOf([scenario]);
    const tones = new Set(measured.map(({ tone }) => tone(scenario)));
    const worst = (['bad', 'doubtful'] as const).find((tone) => tones.has(tone)) ?? 'plain';
    const measures = measured
      .map(({ short, read }) => `${short.toLowerCase()} ${read(scenario)}`)
      .join(', ');
    const indented = (text: string): string[] => wrap(text, columns, INDENT, INDENT);
    const name = oneLine(`${scenario.family}: ${scenario.scenario}`);
    return [
      ...wrap(name, columns, '  ').map((line) => bold(line, color)),
      ...indented(oneLine(scenario.fault)),
      ...(measures === '' ? [] : indented(measures).map((line) => paint(line, worst, color))),
    ];
  });
}

/** One line for each family: what its scenarios lost, and the slowest recovery. */
function renderFamilies(
  scenarios: readonly ScenarioRecord[],
  { columns, color }: TerminalOptions,
): string[] {
  const families = Map.groupBy(scenarios, ({ family }) => family);
  return [...families].flatMap(([family, own]) => {
    const sum = (read: (scenario: ScenarioRecord) => number | undefined): number =>
      own.reduce((total, scenario) => total + (read(scenario) ?? 0), 0);
    const recoveredAfterMs = Math.max(0, ...own.map((one) => one.recoveredAfterMs ?? 0));
    const violations = renderViolations(own);
    const text = [
      `${oneLine(family)}: ${own.length} ${own.length === 1 ? 'scenario' : 'scenarios'}`,
      `${sum(({ accepted }) => accepted)} accepted`,
      violations === '' ? '0 lost' : violations,
      ...(recoveredAfterMs > 0 ? [`recovered within ${formatDuration(recoveredAfterMs)}`] : []),
    ].join(', ');
    const tone = violations === '' ? 'plain' : 'bad';
    return wrap(text, columns, INDENT).map((line) => paint(line, tone, color));
  });
}

/**
 * Renders the line that scripts read, such as `12 passed, 0 failed, 1 skipped`; never colored. Lost, duplicated
 * and reordered work of the scenarios is appended.
 */
export function renderTotals(
  { passed, failed, skipped }: Totals,
  scenarios: readonly ScenarioRecord[] = [],
): string {
  const losses = renderViolations(scenarios);
  return (
    `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}` +
    (losses === '' ? '' : `, ${losses}`)
  );
}

function pad(text: string, width: number, align: Column['align']): string {
  const space = ' '.repeat(Math.max(0, width - displayWidth(text)));
  return align === 'left' ? text + space : space + text;
}

const formats = { good: 'green', doubtful: 'yellow', bad: 'red' } as const;

function paint(text: string, tone: MeasureTone, color: boolean): string {
  if (!color || tone === 'plain') return text;
  return styleText(formats[tone], text, { validateStream: false });
}

function bold(text: string, color: boolean): string {
  return color ? styleText('bold', text, { validateStream: false }) : text;
}
