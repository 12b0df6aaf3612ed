import { formatDuration } from '../../duration.ts';
import { BASELINE_RUNS } from '../../history/band.ts';
import { type Change, compareWithHistory, earlierRuns } from '../../history/compare.ts';
import type { HistoryEntry } from '../../history/entry.ts';
import { flakyTests } from '../../history/flaky.ts';
import { escapeMarkup } from '../escape.ts';

const SHOWN_RUNS = 40;
const MAX_LINES = 50;
const BAR = 16;
const HEIGHT = 60;

/** Renders what the history tells of this run: its changes, flaky tests, and the times of the last runs. */
export function renderTrends(now: HistoryEntry, entries: readonly HistoryEntry[]): string {
  const earlier = earlierRuns(now, entries);
  if (earlier.length === 0) return '';
  const shown = [...earlier, now].slice(-SHOWN_RUNS);
  return [
    `<section><h2>History <small>the last ${shown.length} runs</small></h2>`,
    bars(shown),
    changes(compareWithHistory(now, entries)),
    flaky([...earlier, now]),
    `<p class="facts">A time is a regression when the newest and the median of the newest three are above median + ` +
      `0.67 × 3.5 / 0.6745 × MAD of up to ${BASELINE_RUNS} runs before on the same processor and stage (Iglewicz and ` +
      `Hoaglin 1993), and by at least a tenth and 50 ms; one run alone above 3.5 / 0.6745 × MAD is suspect.</p></section>`,
  ].join('');
}

function bars(runs: readonly HistoryEntry[]): string {
  const longestMs = Math.max(1, ...runs.map(({ durationMs }) => durationMs));
  const parts = runs.map((run, index) => {
    const height = Math.max(3, Math.round((run.durationMs / longestMs) * HEIGHT));
    const kind =
      run.totals.failed + run.lost + run.duplicated + run.outOfOrder > 0 ? 'worse' : 'fine';
    return `<rect class="${kind}" x="${index * BAR}" y="${HEIGHT - height}" width="${BAR - 4}" height="${height}"><title>${escapeMarkup(describe(run))}</title></rect>`;
  });
  const bad = runs.filter(({ totals, lost }) => totals.failed + lost > 0).length;
  const label = `Times of the last ${runs.length} runs, longest ${formatDuration(longestMs)}, ${bad} with failures or losses`;
  return (
    `<svg class="bars" viewBox="0 0 ${runs.length * BAR} ${HEIGHT}" width="${runs.length * BAR}" role="img" aria-label="${label}">${parts.join('')}</svg>` +
    `<p class="facts">${label}</p>`
  );
}

function describe({ startedAt, commit, durationMs, totals, lost }: HistoryEntry): string {
  return `${startedAt.slice(0, 16).replace('T', ' ')} ${commit ?? ''}: ${totals.passed} passed, ${totals.failed} failed, ${lost} lost, ${formatDuration(durationMs)}`;
}

const tones: Readonly<Record<Change['kind'], string>> = {
  regression: 'bad',
  suspect: 'doubtful',
  gone: 'doubtful',
  fixed: 'good',
};

function changes(found: readonly Change[]): string {
  const lines = found
    .slice(0, MAX_LINES)
    .map(
      ({ kind, name, what }) =>
        `<li><b class="${tones[kind]}">${kind}</b> ${escapeMarkup(name)}: ${escapeMarkup(what)}</li>`,
    );
  if (lines.length === 0) return '<p>No change beyond the noise.</p>';
  const left = found.length - lines.length;
  return `<ul class="changes">${lines.join('')}${left > 0 ? `<li>${left} more</li>` : ''}</ul>`;
}

function flaky(entries: readonly HistoryEntry[]): string {
  const percent = (share: number): string => `${Math.round(share * 100)} %`;
  const lines = flakyTests(entries)
    .slice(0, MAX_LINES)
    .map(
      ({ test, runs, unsteady, rate }) =>
        `<li><b class="doubtful">flaky</b> ${escapeMarkup(test)}: ${unsteady} of ${runs} runs (${percent(rate.low)} to ${percent(rate.high)}, 95 % confidence)</li>`,
    );
  return lines.length === 0 ? '' : `<ul class="changes">${lines.join('')}</ul>`;
}
