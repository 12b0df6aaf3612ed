import type { RunReport, ScenarioRecord } from './report.ts';

/** A kind of violation, such as lost work. */
interface ScenarioViolation {
  readonly title: string;
  readonly count: number;
}

/** The violations of a scenario. Work that a server loses within its guarantees (`lostByServer`) is not one. */
const violations: readonly {
  title: string;
  read: (scenario: ScenarioRecord) => number | undefined;
}[] = [
  { title: 'lost', read: ({ lost }) => lost },
  { title: 'duplicated', read: ({ duplicated }) => duplicated },
  { title: 'out of order', read: ({ outOfOrder }) => outOfOrder },
];

/** The total violations of all scenarios; empty when there are none. */
export function violationsIn(scenarios: readonly ScenarioRecord[]): ScenarioViolation[] {
  return violations
    .map(({ title, read }) => ({
      title,
      count: scenarios.reduce((sum, scenario) => sum + (read(scenario) ?? 0), 0),
    }))
    .filter(({ count }) => count > 0);
}

/** Formats violations as `3 lost, 1 duplicated`; empty without violations. */
export function renderViolations(scenarios: readonly ScenarioRecord[]): string {
  return violationsIn(scenarios)
    .map(({ title, count }) => `${count} ${title}`)
    .join(', ');
}

/** The title of a run. It states that all tests passed only when there is nothing else to report. */
export function renderTitle({ interrupted, totals, scenarios }: RunReport): string {
  const pieces = [
    interrupted ? 'interrupted' : '',
    totals.failed > 0 ? `${totals.failed} failed` : '',
    renderViolations(scenarios),
  ];
  return pieces.filter((piece) => piece !== '').join(', ') || 'all passed';
}
