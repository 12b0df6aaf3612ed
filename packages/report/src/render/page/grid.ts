import { type ScenarioResult, kindOf, outcomes, serverOf } from '../../outcome.ts';
import type { ScenarioRecord } from '../../report.ts';
import { escapeMarkup } from '../escape.ts';

/** A grid of more rows or columns is no overview. The rest is one row or column. */
const MAX_NAMES = 16;
const REST = 'others';

/** How an outcome is shown where there is no room for the word. */
export const signs: Readonly<Record<ScenarioResult, string>> = {
  lost: '✕',
  failed: '✕',
  recovered: '✓',
  detected: '✓',
  passed: '✓',
};

/** Renders servers by kinds of fault. Each cell has its worst outcome and filters the page when it is pressed. */
export function renderGrid(
  scenarios: readonly ScenarioRecord[],
  outcomeOf: (scenario: ScenarioRecord) => ScenarioResult,
): string {
  const servers = mostFrequent(scenarios.map(serverOf));
  const kinds = mostFrequent(scenarios.map(kindOf));
  const cells = Map.groupBy(
    scenarios,
    (scenario) => `${nameIn(servers, serverOf(scenario))}\n${nameIn(kinds, kindOf(scenario))}`,
  );
  const head = kinds.map((kind) => `<th scope="col">${escapeMarkup(kind)}</th>`).join('');
  const rows = servers.map((server) => {
    const row = kinds.map((kind) =>
      cellOf(server, kind, (cells.get(`${server}\n${kind}`) ?? []).map(outcomeOf)),
    );
    return `<tr><th scope="row">${escapeMarkup(server)}</th>${row.join('')}</tr>`;
  });
  return (
    '<section><h2>Servers and faults <small>a cell filters the page</small></h2>' +
    '<div class="wide" tabindex="0" role="region" aria-label="Servers and faults"><table class="grid">' +
    `<thead><tr><td></td>${head}</tr></thead><tbody>${rows.join('\n')}</tbody></table></div></section>`
  );
}

function cellOf(server: string, kind: string, own: readonly ScenarioResult[]): string {
  const worst = outcomes.find((outcome) => own.includes(outcome));
  if (worst === undefined) return '<td></td>';
  const bad = own.filter((outcome) => outcome === 'lost' || outcome === 'failed').length;
  const count = bad > 0 ? `${bad} of ${own.length}` : `${own.length}`;
  const filter = [server, kind]
    .map((name, index) => (name === REST ? '' : `${index === 0 ? 'server' : 'fault'}:"${name}"`))
    .filter((word) => word !== '')
    .join(' ');
  return (
    `<td><button type="button" class="cell ${worst}" data-filter="${escapeMarkup(filter)}" aria-label="${escapeMarkup(`${server}, ${kind}: ${signs[worst]} ${count} ${worst}`)}">` +
    `${signs[worst]} ${count} <small>${worst}</small></button></td>`
  );
}

function mostFrequent(names: readonly string[]): string[] {
  const counts = [...Map.groupBy(names, (name) => name)].toSorted(
    (a, b) => b[1].length - a[1].length,
  );
  const all = counts.map(([name]) => name);
  return all.length <= MAX_NAMES ? all : [...all.slice(0, MAX_NAMES - 1), REST];
}

function nameIn(names: readonly string[], name: string): string {
  return names.includes(name) ? name : REST;
}
