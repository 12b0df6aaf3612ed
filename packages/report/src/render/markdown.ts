import { stripVTControlCharacters } from 'node:util';
import { formatDuration } from '../duration.ts';
import { measuresOf } from './measures.ts';
import type { RunReport, ScenarioRecord, TestRecord } from '../report.ts';
import { scenarioFinder } from '../outcome.ts';
import { renderTotals } from './terminal.ts';
import { oneLine } from './width.ts';
import { passedOver, renderTitle } from '../violations.ts';

/** A job summary of GitHub has at most 1 MiB for each step; what follows in the same step needs room too. */
export const MAX_BYTES = 1_000_000;
const ROOM_FOR_COUNTS = 300;
const MAX_FAILURE_CHARACTERS = 4_000;

/**
 * Renders a run for the summary of a CI job: the totals, each failure with the command that replays it, then the
 * scenarios. What does not fit into `maxBytes`, 1 MB unless it is given, is counted.
 */
export function renderMarkdown(
  run: RunReport,
  { maxBytes = MAX_BYTES }: { maxBytes?: number } = {},
): string {
  const warnings = [
    ...(run.interrupted ? ['The run was stopped before its end.'] : []),
    ...(run.unreadableRecords > 0
      ? [`${run.unreadableRecords} scenario records could not be read.`]
      : []),
    ...passedOver(run).map(
      ({ name, message }) => `${cell(name)}: ${message}, although its test passed.`,
    ),
  ];
  const head = [
    `### ${renderTitle(run)}\n\n`,
    `${renderTotals(run.totals, run.scenarios)}${factsOf(run)}\n\n`,
  ];
  const scenarioOf = scenarioFinder(run.scenarios);
  const failed = run.tests.filter(({ status }) => status === 'failed');
  const again = run.tests.filter(({ status, attempts }) => status === 'passed' && attempts > 1);
  return within(maxBytes, [
    ...head.map(asPiece),
    ...warnings.map((warning) => asPiece(`**${warning}**\n\n`)),
    ...failed.map((test) => ({
      text: failureOf(test, scenarioOf(test)?.replay),
      what: 'failures',
    })),
    ...again.map((test) => ({
      text: `- passed at attempt ${test.attempts}: ${cell(`${test.file}: ${test.name}`)}\n`,
      what: 'tests that passed when run again',
    })),
    ...(run.scenarios.length > 0 ? tablePieces(run.scenarios) : []),
  ]);
}

/** Renders the scenario table as Markdown, for a page; empty without scenarios. */
export function renderTable(scenarios: readonly ScenarioRecord[]): string {
  if (scenarios.length === 0) return '';
  const { header, rows } = tableOf(scenarios);
  return header + rows.join('');
}

interface Piece {
  readonly text: string;
  /** What is counted when pieces are left out. */
  readonly what: string;
}

function asPiece(text: string): Piece {
  return { text, what: 'warnings' };
}

/** Takes pieces as long as they fit, of each kind from the first on, and counts the others. */
function within(maxBytes: number, pieces: readonly Piece[]): string {
  const room = maxBytes - ROOM_FOR_COUNTS;
  const left = new Map<string, number>();
  let text = '';
  let bytes = 0;
  for (const piece of pieces) {
    const size = Buffer.byteLength(piece.text);
    const omitted = left.get(piece.what);
    if (omitted === undefined && bytes + size <= room) {
      text += piece.text;
      bytes += size;
    } else left.set(piece.what, (omitted ?? 0) + 1);
  }
  const counts = [...left].map(([what, count]) => `${count} more ${what}`);
  return counts.length === 0 ? text : `${text}\n… ${counts.join(', ')}: see the report\n`;
}

function factsOf({ durationMs, node, stage, environment }: RunReport): string {
  const facts = [
    formatDuration(durationMs),
    ...(stage === undefined ? [] : [`stage ${stage}`]),
    `Node ${node}`,
    ...(environment === undefined ? [] : [environment.os]),
    ...(environment?.commit === undefined ? [] : [environment.commit]),
  ];
  return ` · ${facts.map(cell).join(' · ')}`;
}

function failureOf(test: TestRecord, replay = test.replay): string {
  const { file, line, name, failure = '', codeFrame } = test;
  const place = line === undefined ? file : `${file}:${line}`;
  const shown = failure.slice(0, MAX_FAILURE_CHARACTERS);
  const rest = failure.length - shown.length;
  const message = rest > 0 ? `${shown}\n… ${rest} more characters in run.json` : shown;
  return [
    `<details><summary>${summaryText(`✕ ${name} (${place})`)}</summary>\n\n`,
    ...(replay === undefined ? [] : [`Replay:\n\n${fenced(replay, 'sh')}`]),
    fenced(message),
    ...(codeFrame === undefined ? [] : [fenced(codeFrame)]),
    '</details>\n\n',
  ].join('');
}

/** A code block that no text can end. */
function fenced(given: string, language = ''): string {
  const text = stripVTControlCharacters(given);
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = '`'.repeat(longest + 1);
  return `${fence}${language}\n${text}\n${fence}\n\n`;
}

function tablePieces(scenarios: readonly ScenarioRecord[]): Piece[] {
  const { header, rows } = tableOf(scenarios);
  return rows.map((row, index) => ({
    text: index === 0 ? `\n${header}${row}` : row,
    what: 'scenarios',
  }));
}

function tableOf(scenarios: readonly ScenarioRecord[]): { header: string; rows: string[] } {
  const measures = measuresOf(scenarios);
  const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |\n`;
  const rule = ['---', '---', ...measures.map(() => '---:')];
  const rows = scenarios.map((scenario) => [
    cell(scenario.scenario),
    cell(scenario.fault),
    ...measures.map(({ read }) => read(scenario) ?? '–'),
  ]);
  const header = row(['Promise', 'Fault', ...measures.map(({ title }) => title)]) + row(rule);
  return { header, rows: rows.map(row) };
}

/** In HTML, in which Markdown is not read, but entities are. */
function summaryText(text: string): string {
  return oneLine(text).replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function cell(text: string): string {
  return oneLine(text).replaceAll(/[\\|<>`*_[\]]/gu, (mark) => `\\${mark}`);
}
