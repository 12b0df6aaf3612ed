import { formatDuration } from '../duration.ts';
import { oneLine } from '../render/width.ts';
import type { ScenarioRecord } from '../report.ts';

/** A test under way, as the lines name it. */
export interface LiveTest {
  /** Counts the tests that have begun, so that the two lines of a test belong together when several run at a time. */
  readonly number: number;
  readonly family: string;
  readonly name: string;
}

/** The line of a test that begins. */
export function renderBegin({ number, family, name }: LiveTest): string {
  return `${number} begins ${oneLine(`${family}: ${name}`)}`;
}

/** The line of a test that ended: first the outcome and the measures, for the end is cut on a narrow screen. */
export function renderEnd(
  { number, family, name }: LiveTest,
  outcome: 'passed' | 'failed',
  durationMs: number,
  scenarios: readonly ScenarioRecord[],
): string {
  const state = outcome === 'failed' ? 'FAILED' : isKept(scenarios) ? 'ok' : 'BROKEN';
  const measures = [...measuresOf(scenarios), `in ${formatDuration(durationMs)}`].join(', ');
  return `${number} ${state} ${measures}: ${oneLine(`${family}: ${name}`)}`;
}

/** The line of a scenario that no test under way is named after. */
export function renderScenario(scenario: ScenarioRecord): string {
  const state = isKept([scenario]) ? 'ok' : 'BROKEN';
  const measures = measuresOf([scenario]).join(', ') || 'recorded';
  return `${state} ${measures}: ${oneLine(`${scenario.family}: ${scenario.scenario}`)}`;
}

function isKept(scenarios: readonly ScenarioRecord[]): boolean {
  return scenarios.every(
    ({ lost = 0, duplicated = 0, outOfOrder = 0 }) => lost + duplicated + outOfOrder === 0,
  );
}

/** What was lost, and how long detection and recovery took: of several scenarios the sums and the slowest. */
function measuresOf(scenarios: readonly ScenarioRecord[]): string[] {
  const sum = (read: (scenario: ScenarioRecord) => number | undefined): number | undefined =>
    given(scenarios, read)?.reduce((total, value) => total + value, 0);
  const slowest = (read: (scenario: ScenarioRecord) => number | undefined): string | undefined => {
    const times = given(scenarios, read);
    return times && formatDuration(Math.max(...times));
  };
  const accepted = sum((scenario) => scenario.accepted);
  const lost = sum((scenario) => scenario.lost);
  const duplicated = sum((scenario) => scenario.duplicated);
  const outOfOrder = sum((scenario) => scenario.outOfOrder);
  const detected = slowest((scenario) => scenario.detectedAfterMs);
  const recovered = slowest((scenario) => scenario.recoveredAfterMs);
  return [
    ...(lost === undefined
      ? []
      : [`lost ${lost}${accepted === undefined ? '' : ` of ${accepted}`}`]),
    ...(duplicated === undefined || duplicated === 0 ? [] : [`duplicated ${duplicated}`]),
    ...(outOfOrder === undefined || outOfOrder === 0 ? [] : [`out of order ${outOfOrder}`]),
    ...(detected === undefined ? [] : [`detected ${detected}`]),
    ...(recovered === undefined ? [] : [`recovered ${recovered}`]),
  ];
}

function given(
  scenarios: readonly ScenarioRecord[],
  read: (scenario: ScenarioRecord) => number | undefined,
): readonly number[] | undefined {
  const values = scenarios.map(read).filter((value) => value !== undefined);
  return values.length === 0 ? undefined : values;
}
