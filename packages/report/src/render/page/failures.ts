import { scenarioFinder } from '../../outcome.ts';
import type { RunReport, ScenarioRecord, TestRecord } from '../../report.ts';
import { passedOver } from '../../violations.ts';
import { escapeMarkup } from '../escape.ts';

/** The limits of one text and of all together, which keep the page small enough to mail. */
const MAX_TEXT_CHARACTERS = 6_000;
const MAX_ALL_CHARACTERS = 36_000;
const MAX_CARDS = 300;

/**
 * Renders each failure with what is needed to find its cause: the command that replays it, the source, the message,
 * what the seed decided and what the servers printed. Empty when nothing failed.
 */
export function renderFailures(run: RunReport): string {
  const budget = { characters: MAX_ALL_CHARACTERS };
  const scenarioOf = scenarioFinder(run.scenarios);
  const failed = run.tests.filter(({ status }) => status === 'failed');
  const broken = passedOver(run);
  if (failed.length + broken.length === 0) return '';
  const cards = [
    ...broken.map(
      ({ name, message }) =>
        `<article class="failure"><h3>${escapeMarkup(name)}</h3><p class="bad">${message}, although its test passed</p></article>`,
    ),
    ...failed.map((test) => cardOf(test, scenarioOf(test), budget)),
  ];
  const left = cards.length - MAX_CARDS;
  return (
    `<section><h2>Failures <small>${cards.length}</small></h2>${cards.slice(0, MAX_CARDS).join('\n')}` +
    `${left > 0 ? `<p class="facts">${left} more in run.json</p>` : ''}</section>`
  );
}

function cardOf(
  test: TestRecord,
  scenario: ScenarioRecord | undefined,
  budget: { characters: number },
): string {
  const place = test.line === undefined ? test.file : `${test.file}:${test.line}`;
  const replay = scenario?.replay ?? test.replay;
  const seed = scenario?.seed === undefined ? '' : ` · seed ${scenario.seed}`;
  return [
    `<article class="failure"><h3>${escapeMarkup(test.name)}</h3>`,
    `<p class="facts"><span class="path">${escapeMarkup(place)}</span>${seed}</p>`,
    replay === undefined ? '' : `<code class="replay">${escapeMarkup(replay)}</code>`,
    block(test.codeFrame, budget),
    block(test.failure, budget),
    ...(scenario?.decisions === undefined
      ? []
      : [
          opened(
            `Decisions of the seed, ${scenario.decisions.length}`,
            scenario.decisions.join('\n'),
            budget,
          ),
        ]),
    ...(scenario?.logs ?? []).map(({ server, text }) =>
      opened(`Log of ${server}`, text, budget, 'end'),
    ),
    '</article>',
  ].join('');
}

function opened(
  title: string,
  text: string,
  budget: { characters: number },
  kept: 'start' | 'end' = 'start',
): string {
  return `<details><summary>${escapeMarkup(title)}</summary>${block(text, budget, kept)}</details>`;
}

function block(
  text: string | undefined,
  budget: { characters: number },
  kept: 'start' | 'end' = 'start',
): string {
  if (text === undefined) return '';
  const limit = Math.min(MAX_TEXT_CHARACTERS, budget.characters);
  const shown =
    kept === 'start' ? text.slice(0, limit) : text.slice(Math.max(0, text.length - limit));
  budget.characters -= shown.length;
  const rest = text.length - shown.length;
  const more = rest > 0 ? `… ${rest} more characters in run.json` : '';
  const pieces = kept === 'start' ? [escapeMarkup(shown), more] : [more, escapeMarkup(shown)];
  return `<pre tabindex="0">${pieces.filter((piece) => piece !== '').join('\n')}</pre>`;
}
