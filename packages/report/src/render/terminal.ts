import { styleText, stripVTControlCharacters } from 'node:util';
import { type Tone, measuresOf } from './measures.ts';
import type { RunReport, ScenarioRecord, Totals } from '../report.ts';
import { renderViolations } from '../violations.ts';

export interface TerminalOptions {
  /** The maximum width of a line of the table; `Infinity` cuts nothing. */
  readonly columns: number;
  readonly color: boolean;
}

interface Cell {
  readonly text: string;
  readonly tone: Tone;
}
interface Column {
  readonly title: string;
  readonly align: 'left' | 'right';
  readonly cells: readonly Cell[];
}

const GAP = '  ';
/** The minimum width of a text column that is cut to fit the screen. */
const NARROWEST = 16;

/** Renders the scenario table, worst first; empty without scenarios. Lines have no line break. */
export function renderScenarios(run: RunReport, options: TerminalOptions): string[] {
  const { scenarios } = run;
  if (scenarios.length === 0) return [];
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
  const widths = fit(columns, options.columns);
  const line = (cellOf: (column: Column) => Cell): string =>
    columns
      .map((column, index) => {
        const { text, tone } = cellOf(column);
        return paint(pad(text, widths[index] ?? 0, column.align), tone, options.color);
      })
      .join(GAP)
      .trimEnd();
  const header = line(({ title }) => ({ text: title, tone: 'plain' }));
  return [
    options.color ? styleText('bold', header, { validateStream: false }) : header,
    ...scenarios.map((_, row) => line(({ cells }) => cells[row] ?? { text: '', tone: 'plain' })),
  ];
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

/** Replaces characters of foreign text that move the cursor or break the line. */
export function oneLine(text: string): string {
  return stripVTControlCharacters(text)
    .replaceAll(/[\p{Cc}\p{Zl}\p{Zp}\s]+/gu, ' ')
    .trim();
}

/** The number of terminal cells of a text. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const { segment } of graphemes.segment(text)) width += wide.test(segment) ? 2 : 1;
  return width;
}

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });
const wide =
  /\p{Emoji_Presentation}|\uFE0F|[\u1100-\u115F\u2E80-\u303E\u3041-\uA4CF\uAC00-\uD7A3\uF900-\uFAFF\uFE30-\uFE6F\uFF00-\uFF60\uFFE0-\uFFE6]|[\u{1F300}-\u{1FAFF}\u{20000}-\u{3FFFD}]/u;

/** Makes each column as wide as its widest cell; cuts the two text columns when the line would not fit. */
function fit(columns: readonly Column[], available: number): number[] {
  const widths = columns.map(({ title, cells }) =>
    cells.reduce((widest, { text }) => Math.max(widest, displayWidth(text)), displayWidth(title)),
  );
  const [scenario = 0, fault = 0, ...measured] = widths;
  const gaps = GAP.length * (columns.length - 1);
  const room = available - gaps - measured.reduce((sum, width) => sum + width, 0);
  if (scenario + fault <= room) return widths;
  const faultWidth = Math.max(NARROWEST, Math.min(fault, Math.floor(room * 0.4)));
  const scenarioWidth = Math.max(NARROWEST, Math.min(scenario, room - faultWidth));
  return [scenarioWidth, faultWidth, ...measured];
}

function pad(text: string, width: number, align: Column['align']): string {
  const shown = displayWidth(text) > width ? cut(text, width) : text;
  const space = ' '.repeat(Math.max(0, width - displayWidth(shown)));
  return align === 'left' ? shown + space : space + shown;
}

function cut(text: string, width: number): string {
  let kept = '';
  for (const { segment } of graphemes.segment(text)) {
    if (displayWidth(kept + segment) > width - 1) break;
    kept += segment;
  }
  return `${kept}…`;
}

const formats = { good: 'green', doubtful: 'yellow', bad: 'red' } as const;

function paint(text: string, tone: Tone, color: boolean): string {
  if (!color || tone === 'plain') return text;
  return styleText(formats[tone], text, { validateStream: false });
}
