import { createHash } from 'node:crypto';
import { formatDuration } from '../../duration.ts';
import type { HistoryEntry } from '../../history/entry.ts';
import { outcomeReader } from '../../outcome.ts';
import type { RunReport } from '../../report.ts';
import { renderTitle, violationsIn } from '../../violations.ts';
import { escapeMarkup } from '../escape.ts';
import { renderFailures } from './failures.ts';
import { renderGrid } from './grid.ts';
import { renderScenarioSection } from './scenarios.ts';
import { script } from './script.ts';
import { style } from './style.ts';
import { renderTestSection } from './tests.ts';
import { renderTrends } from './trends.ts';

/** The run as a line of the history, and the earlier lines, oldest first. */
export interface PageHistory {
  readonly now: HistoryEntry;
  readonly entries: readonly HistoryEntry[];
}

/**
 * Renders the run as one self-contained page. It loads nothing, and its policy forbids the browser to run any
 * script or style but its own two. Without JavaScript it shows everything and cannot filter or sort.
 */
export function renderPage(run: RunReport, history?: PageHistory): string {
  const policy = `default-src 'none'; script-src ${hash(script)}; style-src ${hash(style)}`;
  const outcomeOf = outcomeReader(run);
  const hasScenarios = run.scenarios.length > 0;
  return [
    '<!doctype html><html lang="en"><head><meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width,initial-scale=1">',
    '<meta name="color-scheme" content="light dark">',
    `<meta http-equiv="Content-Security-Policy" content="${policy}">`,
    `<title>${renderTitle(run)} · Holdfast</title><style>${style}</style></head><body>`,
    header(run),
    '<main>',
    renderFailures(run),
    hasScenarios ? renderGrid(run.scenarios, outcomeOf) : '',
    history === undefined ? '' : renderTrends(history.now, history.entries),
    filterField(),
    hasScenarios ? renderScenarioSection(run.scenarios, outcomeOf) : '',
    renderTestSection(run.tests),
    environmentSection(run),
    '</main>',
    `<script>${script}</script></body></html>\n`,
  ].join('\n');
}

function hash(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
}

function header(run: RunReport): string {
  const { passed, failed, skipped } = run.totals;
  const figure = (kind: string, value: number): string =>
    `<li class="${value > 0 ? kind : 'none'}"><b>${value}</b> ${kind}</li>`;
  const violations = violationsIn(run.scenarios).map(
    ({ title, count }) => `<li class="failed"><b>${count}</b> ${title}</li>`,
  );
  const facts = [
    `${run.startedAt.slice(0, 19).replace('T', ' ')} UTC`,
    formatDuration(run.durationMs),
    ...(run.stage === undefined ? [] : [`stage: ${run.stage}`]),
    `Node ${run.node}`,
    ...(run.environment?.commit === undefined ? [] : [`commit ${run.environment.commit}`]),
  ];
  const warnings = [
    ...(run.interrupted ? ['The run was stopped before its end.'] : []),
    ...(run.unreadableRecords > 0
      ? [`${run.unreadableRecords} scenario records could not be read.`]
      : []),
  ];
  return [
    `<header><p class="brand">Holdfast</p><h1>${renderTitle(run)}</h1>`,
    `<ul class="totals">${figure('passed', passed)}${figure('failed', failed)}${figure('skipped', skipped)}${violations.join('')}</ul>`,
    `<p class="facts">${facts.map(escapeMarkup).join(' · ')}</p>`,
    ...warnings.map((warning) => `<p class="warning">${warning}</p>`),
    '</header>',
  ].join('');
}

function filterField(): string {
  return (
    '<div class="filter"><label for="filter">Filter</label>' +
    '<input id="filter" type="search" autocomplete="off" placeholder="words, s:failed, server:redis, fault:killed">' +
    '<output id="shown" for="filter"></output></div>'
  );
}

function environmentSection({ environment, node }: RunReport): string {
  if (environment === undefined) return '';
  const { os, cpu, memoryBytes, commit, versions } = environment;
  const facts: (readonly [string, string])[] = [
    ['System', os],
    ['Processor', cpu],
    ['Memory', `${(memoryBytes / 2 ** 30).toFixed(1)} GiB`],
    ...(commit === undefined ? [] : [['Commit', commit] as const]),
    ['Node', node],
    ...Object.entries(versions),
  ];
  const rows = facts.map(
    ([name, value]) => `<div><dt>${escapeMarkup(name)}</dt><dd>${escapeMarkup(value)}</dd></div>`,
  );
  return `<section><h2>Environment</h2><dl class="environment">${rows.join('')}</dl></section>`;
}
