import type { RunReport, ScenarioRecord } from './report.ts';

/** Work that should not have come out as it did. */
interface ScenarioViolation {
  readonly title: string;
  readonly count: number;
}

/** What no scenario may end with; what a server forgets within its promise (`lostByServer`) is none of it. */
const violations: readonly {
  title: string;
  read: (scenario: ScenarioRecord) => number | undefined;
}[] = [
  { title: 'lost', read: ({ lost }) => lost },
  { title: 'duplicated', read: ({ duplicated }) => duplicated },
  { title: 'out of order', read: ({ outOfOrder }) => outOfOrder },
];

/** What became of the work of all scenarios together that should not have; empty when nothing did. */
export function violationsIn(scenarios: readonly ScenarioRecord[]): ScenarioViolation[] {
  return violations
    .map(({ title, read }) => ({
      title,
      count: scenarios.reduce((sum, scenario) => sum + (read(scenario) ?? 0), 0),
    }))
    .filter(({ count }) => count > 0);
}

/** Such as `3 lost, 1 duplicated`; empty when nothing was. */
export function renderViolations(scenarios: readonly ScenarioRecord[]): string {
  return violationsIn(scenarios)
    .map(({ title, count }) => `${count} ${title}`)
    .join(', ');
}

/** The title of a run. That its tests passed is said only when nothing else is to be said. */
export function renderTitle({ interrupted, totals, scenarios }: RunReport): string {
  const pieces = [
    interrupted ? 'interrupted' : '',
    totals.failed > 0 ? `${totals.failed} failed` : '',
    renderViolations(scenarios),
  ];
  return pieces.filter((piece) => piece !== '').join(', ') || 'all passed';
}
