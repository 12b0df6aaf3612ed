import {
  InvalidOptionError,
  type OptionRule,
  integer,
  number,
  oneOf,
  optional,
  parseOptions,
  string,
} from '@holdfast/foundation';
import { redact } from './redact.ts';
import type { Moment, ScenarioRecord, StageName } from './report.ts';

const MAX_MOMENTS = 200;
/** One year: a longer time is a mistake in the unit. */
const MAX_MS = 31_536_000_000;

const count = optional(integer({ min: 0, max: Number.MAX_SAFE_INTEGER }));
const elapsedMs = optional(number({ min: 0, max: MAX_MS }));
const anyInteger = integer({ min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER });

const momentShape = {
  atMs: number({ min: -MAX_MS, max: MAX_MS }),
  event: string({ maxLength: 200 }),
};

const moments: OptionRule<readonly Moment[]> = {
  permitted: `an array of at most ${MAX_MOMENTS} moments`,
  parse(value, field, owner) {
    if (!Array.isArray(value) || value.length > MAX_MOMENTS) {
      throw new InvalidOptionError(owner, field, value, this.permitted);
    }
    return value.map((moment, index) => {
      const { atMs, event } = parseOptions(owner, momentShape, moment, `${field}.${index}`);
      return { atMs, event: redact(event) };
    });
  },
};

const stages: readonly StageName[] = ['local', 'docker', 'compose'];

const scenarioShape = {
  family: string({ maxLength: 100 }),
  scenario: string({ maxLength: 300 }),
  fault: string({ maxLength: 300 }),
  stage: oneOf(stages),
  seed: optional(anyInteger),
  detectedAfterMs: elapsedMs,
  lastedMs: elapsedMs,
  recoveredAfterMs: elapsedMs,
  accepted: count,
  delivered: count,
  lost: count,
  lostByServer: count,
  duplicated: count,
  outOfOrder: count,
  note: optional(string({ maxLength: 1_000 })),
  timeline: optional(moments),
};

/**
 * Validates a scenario and removes its credentials.
 * @throws InvalidOptionError naming the field
 */
export function parseScenario(owner: string, given: unknown): ScenarioRecord {
  const scenario = parseOptions(owner, scenarioShape, given);
  return {
    ...scenario,
    family: redact(scenario.family),
    scenario: redact(scenario.scenario),
    fault: redact(scenario.fault),
    note: scenario.note === undefined ? undefined : redact(scenario.note),
  };
}

/** Display order: the greatest loss first, then other broken promises, then the slowest. */
export function worstFirst(a: ScenarioRecord, b: ScenarioRecord): number {
  for (const measure of badness) {
    const difference = measure(b) - measure(a);
    if (difference !== 0) return difference;
  }
  return 0;
}

const badness: readonly ((scenario: ScenarioRecord) => number)[] = [
  ({ lost }) => lost ?? 0,
  ({ duplicated }) => duplicated ?? 0,
  ({ outOfOrder }) => outOfOrder ?? 0,
  ({ lostByServer }) => lostByServer ?? 0,
  ({ recoveredAfterMs, detectedAfterMs }) => recoveredAfterMs ?? detectedAfterMs ?? 0,
];
