import { formatDuration } from '../../duration.ts';
import { type ScenarioResult, kindOf, outcomes, serverOf } from '../../outcome.ts';
import type { ScenarioRecord } from '../../report.ts';
import { escapeMarkup } from '../escape.ts';
import { type Measure, measuresOf } from '../measures.ts';
import { signs } from './grid.ts';
import { momentsOf, renderTimeline } from './timeline.ts';

/** What keeps the page of a large run small; the worst come first, and the rest is counted. */
const MAX_ROWS = 2_000;
const MAX_DETAIL_CHARACTERS = 500_000;

type OutcomeOf = (scenario: ScenarioRecord) => ScenarioResult;

/** Renders the scenarios grouped by family, the families and scenarios with the worst outcome first. */
export function renderScenarioSection(
  scenarios: readonly ScenarioRecord[],
  outcomeOf: OutcomeOf,
): string {
  const sorted = scenarios.toSorted(
    (a, b) => outcomes.indexOf(outcomeOf(a)) - outcomes.indexOf(outcomeOf(b)),
  );
  const measures = measuresOf(scenarios);
  const budget = { characters: MAX_DETAIL_CHARACTERS };
  const shown = Map.groupBy(sorted.slice(0, MAX_ROWS), ({ family }) => family);
  const all = Map.groupBy(sorted, ({ family }) => family);
  const families = [...all].map(([family, own]) => {
    const bodies = (shown.get(family) ?? []).map((scenario) =>
      scenarioBody(scenario, outcomeOf(scenario), measures, budget),
    );
    return familyGroup(family, own, bodies, measures, outcomeOf);
  });
  return (
    `<section><h2>Scenarios <small>${scenarios.length}, worst first</small></h2>` +
    `${families.join('\n')}</section>`
  );
}

function familyGroup(
  family: string,
  own: readonly ScenarioRecord[],
  bodies: readonly string[],
  measures: readonly Measure[],
  outcomeOf: OutcomeOf,
): string {
  const titles = ['Outcome', 'Scenario', 'Fault', ...measures.map(({ title }) => title)].map(
    (title, index) =>
      `<th scope="col"${index > 2 ? ' class="n"' : ''}><button type="button" data-column="${index}">${title}</button></th>`,
  );
  const counts = outcomes.flatMap((outcome) => {
    const count = own.filter((scenario) => outcomeOf(scenario) === outcome).length;
    return count === 0 ? [] : [`<span class="${outcome}">${count} ${outcome}</span>`];
  });
  const left = own.length - bodies.length;
  return (
    `<details class="family" open><summary><span class="name">${escapeMarkup(family)}</span>` +
    `<span class="facts">${counts.join(' · ')}</span></summary>` +
    `<div class="wide" tabindex="0" role="region" aria-label="${escapeMarkup(family)}"><table class="scenarios">` +
    `<thead><tr>${titles.join('')}</tr></thead>\n${bodies.join('\n')}</table></div>` +
    `${left > 0 ? `<p class="facts">${left} more in run.json</p>` : ''}</details>`
  );
}

function scenarioBody(
  scenario: ScenarioRecord,
  outcome: ScenarioResult,
  measures: readonly Measure[],
  budget: { characters: number },
): string {
  const cells = measures.map((measure) => {
    const tone = measure.tone(scenario);
    return `<td${tone === 'plain' ? '' : ` class="${tone}"`}>${measure.read(scenario) ?? '–'}</td>`;
  });
  const detail = detailOf(scenario);
  const fits = detail.length <= budget.characters;
  if (fits) budget.characters -= detail.length;
  const name = escapeMarkup(scenario.scenario);
  const opener = fits ? `<button type="button" aria-expanded="true">${name}</button>` : name;
  const more = fits
    ? `<tr class="detail"><td colspan="${measures.length + 3}"><div>${detail}</div></td></tr>`
    : '';
  return (
    `<tbody class="${outcome}" data-server="${escapeMarkup(serverOf(scenario))}" data-fault="${escapeMarkup(kindOf(scenario))}">` +
    `<tr class="row"><td class="outcome">${signs[outcome]} ${outcome}</td><th scope="row">${opener}</th>` +
    `<td>${escapeMarkup(scenario.fault)}</td>${cells.join('')}</tr>${more}</tbody>`
  );
}

function detailOf(scenario: ScenarioRecord): string {
  const { note, stage, seed, replay } = scenario;
  const moments = momentsOf(scenario).map(
    ({ atMs, event }) => `<li><time>${formatDuration(atMs)}</time> ${escapeMarkup(event)}</li>`,
  );
  const facts = [
    serverOf(scenario),
    kindOf(scenario),
    `stage: ${stage}`,
    ...(seed === undefined ? [] : [`seed ${seed}`]),
  ];
  return [
    note === undefined ? '' : `<p>${escapeMarkup(note)}</p>`,
    renderTimeline(scenario),
    moments.length === 0 ? '' : `<ol>${moments.join('')}</ol>`,
    `<p class="facts">${facts.map(escapeMarkup).join(' · ')}</p>`,
    replay === undefined ? '' : `<code class="replay">${escapeMarkup(replay)}</code>`,
  ].join('');
}
