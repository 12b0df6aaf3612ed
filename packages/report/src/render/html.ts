import { createHash } from 'node:crypto';
import { formatDuration } from './duration.ts';
import { escapeMarkup } from './escape.ts';
import { type Measure, measuresOf } from './measures.ts';
import { script } from './page-script.ts';
import { style } from './page-style.ts';
import type { RunReport, ScenarioRecord, TestRecord } from '../report.ts';
import { momentsOf, renderTimeline } from './timeline.ts';
import { violationsIn, renderTitle } from '../violations.ts';

/** The limits of one failure message and of all together, which keep the page small enough to mail. */
const MAX_FAILURE_CHARACTERS = 6_000;
const MAX_FAILURES_CHARACTERS = 50_000;

/**
 * Renders the run as one self-contained page. It loads nothing, and its policy forbids the browser to run any
 * script or style but its own two.
 */
export function renderPage(run: RunReport): string {
  const policy = `default-src 'none'; script-src ${hash(script)}; style-src ${hash(style)}`;
  return [
    '<!doctype html><html lang="en"><head><meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width,initial-scale=1">',
    '<meta name="color-scheme" content="light dark">',
    `<meta http-equiv="Content-Security-Policy" content="${policy}">`,
    `<title>${renderTitle(run)} · Holdfast</title><style>${style}</style></head><body>`,
    header(run),
    '<main>',
    run.scenarios.length > 0 ? scenarioSection(run) : '',
    testSection(run.tests),
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
  const losses = violationsIn(run.scenarios).map(
    ({ title, count }) => `<li class="failed"><b>${count}</b> ${title}</li>`,
  );
  const facts = [
    `${run.startedAt.slice(0, 19).replace('T', ' ')} UTC`,
    formatDuration(run.durationMs),
    ...(run.stage === undefined ? [] : [`stage: ${run.stage}`]),
    `Node ${run.node}`,
  ];
  const warnings = [
    ...(run.interrupted ? ['The run was stopped before its end.'] : []),
    ...(run.unreadableRecords > 0
      ? [`${run.unreadableRecords} scenario records could not be read.`]
      : []),
  ];
  return [
    '<header><p class="brand">Holdfast</p><h1>Results of the run</h1>',
    `<ul class="totals">${figure('passed', passed)}${figure('failed', failed)}${figure('skipped', skipped)}${losses.join('')}</ul>`,
    `<p class="facts">${facts.map(escapeMarkup).join(' · ')}</p>`,
    ...warnings.map((warning) => `<p class="warning">${warning}</p>`),
    '<label class="filter"><span>Filter</span><input id="filter" type="search" autocomplete="off" ',
    'placeholder="words, or s:failed"></label></header>',
  ].join('');
}

function scenarioSection({ scenarios }: RunReport): string {
  const measures = measuresOf(scenarios);
  const titles = measures.map(({ title }) => `<th scope="col" class="n">${title}</th>`).join('');
  const bodies = scenarios.map((scenario) => scenarioBody(scenario, measures)).join('\n');
  return (
    `<section><h2>Scenarios <small>${scenarios.length}, worst first</small></h2><div class="wide">` +
    `<table class="scenarios"><thead><tr><th scope="col">Scenario</th><th scope="col">Fault</th>${titles}</tr></thead>\n` +
    `${bodies}</table></div></section>`
  );
}

function scenarioBody(scenario: ScenarioRecord, measures: readonly Measure[]): string {
  const cells = measures.map((measure) => {
    const value = measure.read(scenario);
    const tone = measure.tone(scenario);
    return `<td class="n${tone === 'plain' ? '' : ` ${tone}`}">${value ?? '–'}</td>`;
  });
  const name =
    `<span class="family">${escapeMarkup(scenario.family)}</span> ` +
    `<span class="name">${escapeMarkup(scenario.scenario)}</span>`;
  return (
    `<tbody><tr class="row"><td><button type="button">${name}</button></td>` +
    `<td>${escapeMarkup(scenario.fault)}</td>${cells.join('')}</tr>` +
    `<tr class="detail"><td colspan="${measures.length + 2}">${detail(scenario)}</td></tr></tbody>`
  );
}

function detail(scenario: ScenarioRecord): string {
  const { note, stage, seed } = scenario;
  const stood = `<p class="facts">stage: ${stage}${seed === undefined ? '' : ` · seed ${seed}`}</p>`;
  const moments = momentsOf(scenario).map(
    ({ atMs, event }) => `<li><time>${formatDuration(atMs)}</time> ${escapeMarkup(event)}</li>`,
  );
  return [
    note === undefined ? '' : `<p>${escapeMarkup(note)}</p>`,
    renderTimeline(scenario),
    moments.length === 0 ? '' : `<ol>${moments.join('')}</ol>`,
    stood,
  ].join('');
}

function testSection(tests: readonly TestRecord[]): string {
  const budget = { characters: MAX_FAILURES_CHARACTERS };
  const files = [...Map.groupBy(tests, ({ project, file }) => `${project ?? ''}\n${file}`)]
    .map(([key, ofFile]) => ({ key, ofFile, failed: failedIn(ofFile) }))
    .toSorted((a, b) => b.failed - a.failed);
  const groups = files.map(({ key, ofFile, failed }) => {
    const [project = '', file = ''] = key.split('\n');
    const elapsedMs = ofFile.reduce((sum, { durationMs }) => sum + durationMs, 0);
    const failedPart = failed > 0 ? `<b class="bad">${failed} failed</b> of ` : '';
    const summary =
      `<span class="path">${escapeMarkup(file)}</span>` +
      `<span class="facts">${escapeMarkup(project)} ${failedPart}${ofFile.length} · ${formatDuration(elapsedMs)}</span>`;
    const rows = ofFile.map((test) => testRow(test, budget)).join('\n');
    return `<details class="file"${failed > 0 ? ' open' : ''}><summary>${summary}</summary><ul class="tests">${rows}</ul></details>`;
  });
  return `<section><h2>Tests <small>${tests.length} in ${files.length} files</small></h2>${groups.join('\n')}</section>`;
}

function failedIn(tests: readonly TestRecord[]): number {
  return tests.filter(({ status }) => status === 'failed').length;
}

function testRow(test: TestRecord, budget: { characters: number }): string {
  const status = test.status === 'passed' ? '' : ` class="${test.status}"`;
  const again = test.attempts > 1 ? ` <em>attempt ${test.attempts}</em>` : '';
  return (
    `<li${status}><span>${escapeMarkup(test.name)}${again}</span>` +
    `<time>${formatDuration(test.durationMs)}</time>${failureOf(test, budget)}</li>`
  );
}

function failureOf({ failure }: TestRecord, budget: { characters: number }): string {
  if (failure === undefined) return '';
  const limit = Math.min(MAX_FAILURE_CHARACTERS, budget.characters);
  const shown = failure.slice(0, limit);
  budget.characters -= shown.length;
  const rest = failure.length - shown.length;
  const more = rest > 0 ? `\n… ${rest} more characters in run.json` : '';
  return `<pre>${escapeMarkup(shown)}${more}</pre>`;
}
