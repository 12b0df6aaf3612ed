import { stripVTControlCharacters } from 'node:util';
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
import type { LoadSample, Moment, ScenarioRecord, ServerLog, StageName } from './report.ts';

const MAX_LOG_CHARACTERS = 20_000;
/** One year: a longer time is a mistake in the unit. */
const MAX_MS = 31_536_000_000;

const count = optional(integer({ min: 0, max: Number.MAX_SAFE_INTEGER }));
const elapsedMs = optional(number({ min: 0, max: MAX_MS }));
const atMs = number({ min: -MAX_MS, max: MAX_MS });
const anyInteger = integer({ min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER });
const counted = integer({ min: 0, max: Number.MAX_SAFE_INTEGER });

/** Without terminal codes first, because a code inside a URL would hide its credentials. */
function clean(text: string): string {
  return redact(stripVTControlCharacters(text));
}

/** A text in which nothing but its length is restricted, cleaned. */
function prose(maxLength: number): OptionRule<string> {
  const rule = string({ maxLength });
  return {
    permitted: rule.permitted,
    parse: (value, field, owner) => clean(rule.parse(value, field, owner)),
  };
}

function listOf<T>(
  max: number,
  what: string,
  parse: (value: unknown, field: string, owner: string) => T,
): OptionRule<readonly T[]> {
  return {
    permitted: `an array of at most ${max} ${what}`,
    parse(value, field, owner) {
      if (!Array.isArray(value) || value.length > max) {
        throw new InvalidOptionError(owner, field, value, this.permitted);
      }
      return value.map((each: unknown, index) => parse(each, `${field}.${index}`, owner));
    },
  };
}

const momentShape = { atMs, event: prose(200) };
const moments = listOf<Moment>(200, 'moments', (value, field, owner) =>
  parseOptions(owner, momentShape, value, field),
);

const sampleShape = { atMs, offered: counted, errors: counted };
const samples = listOf<LoadSample>(600, 'samples', (value, field, owner) =>
  parseOptions(owner, sampleShape, value, field),
);

const logShape = {
  server: prose(40),
  text: string({ maxLength: Number.MAX_SAFE_INTEGER, minLength: 0 }),
};
const logs = listOf<ServerLog>(10, 'logs', (value, field, owner) => {
  const { server, text } = parseOptions(owner, logShape, value, field);
  // A cut URL is not recognized as one, so the text is cut last.
  return { server, text: clean(text.slice(-3 * MAX_LOG_CHARACTERS)).slice(-MAX_LOG_CHARACTERS) };
});

const decision = prose(200);
const decisions = listOf<string>(500, 'decisions', (value, field, owner) =>
  decision.parse(value, field, owner),
);

const version = prose(100);
const versions: OptionRule<Readonly<Record<string, string>>> = {
  permitted: 'an object of at most 20 versions',
  parse(value, field, owner) {
    if (typeof value !== 'object' || value === null || Object.keys(value).length > 20) {
      throw new InvalidOptionError(owner, field, value, this.permitted);
    }
    return Object.fromEntries(
      Object.entries(value).map(([name, given]) => [
        version.parse(name, field, owner),
        version.parse(given, `${field}.${name}`, owner),
      ]),
    );
  },
};

const stages: readonly StageName[] = ['local', 'docker', 'compose'];

const scenarioShape = {
  family: prose(100),
  scenario: prose(300),
  fault: prose(300),
  server: optional(prose(40)),
  kind: optional(prose(40)),
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
  note: optional(prose(1_000)),
  timeline: optional(moments),
  load: optional(samples),
  logs: optional(logs),
  decisions: optional(decisions),
  replay: optional(prose(500)),
  versions: optional(versions),
};

/**
 * Validates a scenario and removes its credentials and terminal codes.
 * @throws InvalidOptionError naming the field
 */
export function parseScenario(owner: string, given: unknown): ScenarioRecord {
  return parseOptions(owner, scenarioShape, given);
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
