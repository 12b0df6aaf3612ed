import { failedNames } from './outcome.ts';
import type { RunReport, ScenarioRecord } from './report.ts';

/** A kind of violation, such as lost work. */
interface ScenarioViolation {
  readonly title: string;
  readonly count: number;
}

/** The violations of a scenario. Work that a server loses within its guarantees (`lostByServer`) is not one. */
type ViolationField = 'lost' | 'duplicated' | 'outOfOrder';
const violations: readonly { title: string; field: ViolationField }[] = [
  { title: 'lost', field: 'lost' },
  { title: 'duplicated', field: 'duplicated' },
  { title: 'out of order', field: 'outOfOrder' },
];

/** How much work of all scenarios one violation concerns. */
export function countOf(scenarios: readonly ScenarioRecord[], field: ViolationField): number {
  return scenarios.reduce((sum, scenario) => sum + (scenario[field] ?? 0), 0);
}

/** The total violations of all scenarios; empty when there are none. */
export function violationsIn(scenarios: readonly ScenarioRecord[]): ScenarioViolation[] {
  return violations
    .map(({ title, field }) => ({ title, count: countOf(scenarios, field) }))
    .filter(({ count }) => count > 0);
}

/** Formats violations as `3 lost, 1 duplicated`; empty without violations. */
export function renderViolations(scenarios: readonly ScenarioRecord[]): string {
  return violationsIn(scenarios)
    .map(({ title, count }) => `${count} ${title}`)
    .join(', ');
}

/** The title of a run. It states that all tests passed only when there is nothing else to report. */
export function renderTitle(run: Pick<RunReport, 'interrupted' | 'totals' | 'scenarios'>): string {
  const { interrupted, totals, scenarios } = run;
  const pieces = [
    interrupted ? 'interrupted' : '',
    totals.failed > 0 ? `${totals.failed} failed` : '',
    renderViolations(scenarios),
  ];
  const wrong = pieces.filter((piece) => piece !== '').join(', ');
  if (wrong !== '') return wrong;
  return totals.passed === 0 ? 'no test passed' : 'all passed';
}

/**
 * The scenarios that broke a promise although their test did not fail. A form that counts tests counts each of
 * them as a failure, so that lost work is never among passed tests alone.
 */
export function passedOver({
  scenarios,
  tests,
}: Pick<RunReport, 'scenarios' | 'tests'>): { name: string; message: string }[] {
  const failed = failedNames(tests);
  return scenarios.flatMap((scenario) => {
    const message = renderViolations([scenario]);
    if (message === '' || failed.has(scenario.scenario)) return [];
    return [{ name: `${scenario.family}: ${scenario.scenario}`, message }];
  });
}
