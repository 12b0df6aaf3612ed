import { formatDuration } from '../duration.ts';
import type { ScenarioRecord } from '../report.ts';

/** The severity of a value. */
export type MeasureTone = 'plain' | 'good' | 'doubtful' | 'bad';

/** One measured column of the scenario table, the same in the terminal and on the page. */
export interface Measure {
  readonly title: string;
  /** The short title, for terminals. */
  readonly short: string;
  /** The formatted value; undefined when the scenario did not measure it. */
  readonly read: (scenario: ScenarioRecord) => string | undefined;
  readonly tone: (scenario: ScenarioRecord) => MeasureTone;
}

/** All measures, in display order. */
export const measures: readonly Measure[] = [
  time('Detected after', 'Detected', ({ detectedAfterMs }) => detectedAfterMs),
  time('Lasted', 'Lasted', ({ lastedMs }) => lastedMs),
  time('Recovered after', 'Recovered', ({ recoveredAfterMs }) => recoveredAfterMs),
  quantity('Accepted', 'Accepted', ({ accepted }) => accepted),
  quantity('Delivered', 'Delivered', ({ delivered }) => delivered),
  quantity('Lost', 'Lost', ({ lost }) => lost, { some: 'bad', none: 'good' }),
  quantity('Lost by the server', 'By server', ({ lostByServer }) => lostByServer, {
    some: 'doubtful',
  }),
  quantity('Duplicated', 'Duplicated', ({ duplicated }) => duplicated, { some: 'doubtful' }),
  quantity('Out of order', 'Unordered', ({ outOfOrder }) => outOfOrder, { some: 'doubtful' }),
  { title: 'Seed', short: 'Seed', read: ({ seed }) => seed?.toString(), tone: () => 'plain' },
];

/** The measures that at least one of the scenarios has. */
export function measuresOf(scenarios: readonly ScenarioRecord[]): readonly Measure[] {
  return measures.filter(({ read }) => scenarios.some((scenario) => read(scenario) !== undefined));
}

function time(
  title: string,
  short: string,
  read: (scenario: ScenarioRecord) => number | undefined,
): Measure {
  return {
    title,
    short,
    read(scenario) {
      const durationMs = read(scenario);
      return durationMs === undefined ? undefined : formatDuration(durationMs);
    },
    tone: () => 'plain',
  };
}

function quantity(
  title: string,
  short: string,
  read: (scenario: ScenarioRecord) => number | undefined,
  tones: { some?: MeasureTone; none?: MeasureTone } = {},
): Measure {
  return {
    title,
    short,
    read: (scenario) => read(scenario)?.toString(),
    tone(scenario) {
      const value = read(scenario);
      if (value === undefined) return 'plain';
      return (value > 0 ? tones.some : tones.none) ?? 'plain';
    },
  };
}
