import {
  InvalidOptionError,
  type OptionRule,
  integer,
  object,
  oneOf,
  optional,
  parseOptions,
  string,
} from '@holdfast/foundation';
import type { FaultHook, ServerFault } from './call-faults.ts';

/** A fault as data, for a server in a process of its own. */
export interface FaultRule {
  /** As the API calls it, such as `PutObject` or `upload`. Default: each of them. */
  readonly operation?: string;
  /** Default: every bucket. */
  readonly bucket?: string;
  /** Default: every key. */
  readonly key?: string;
  /** How many requests it strikes, counted anew whenever faults are set. Default: all of them. */
  readonly times?: number;
  readonly fault: ServerFault;
}

const MAX_RULES = 1_000;
const LONGEST_MS = 3_600_000;
const when = oneOf(['before', 'after'], 'before');
const name = optional(string({ maxLength: 2_048 }));

const faultShapes = {
  error: {
    kind: oneOf(['error']),
    status: integer({ min: 400, max: 599 }),
    code: string({ maxLength: 128 }),
    retryAfterS: optional(integer({ min: 0, max: 86_400 })),
    when,
  },
  reset: { kind: oneOf(['reset']), when },
  delay: { kind: oneOf(['delay']), delayMs: integer({ min: 0, max: LONGEST_MS }) },
};

const faultRule: OptionRule<ServerFault> = {
  permitted: `an object with kind 'error', 'reset' or 'delay'`,
  parse(value, field, owner) {
    const kind = typeof value === 'object' && value !== null && 'kind' in value ? value.kind : '';
    if (kind === 'reset') return parseOptions(owner, faultShapes.reset, value, field);
    if (kind === 'delay') return parseOptions(owner, faultShapes.delay, value, field);
    if (kind !== 'error') throw new InvalidOptionError(owner, field, value, this.permitted);
    const { retryAfterS, ...rest } = parseOptions(owner, faultShapes.error, value, field);
    return retryAfterS === undefined ? rest : { ...rest, retryAfterS };
  },
};

const ruleShape = {
  operation: name,
  bucket: name,
  key: name,
  times: optional(integer({ min: 1, max: 1_000_000 })),
  fault: faultRule,
};

/** How fault rules are read. */
export const faultRulesRule: OptionRule<readonly FaultRule[]> = {
  permitted: `an array of at most ${MAX_RULES} faults`,
  parse(value, field, owner) {
    if (!Array.isArray(value) || value.length > MAX_RULES) {
      throw new InvalidOptionError(owner, field, value, this.permitted);
    }
    return value.map((each: unknown, at) => {
      const read = object(ruleShape).parse(each, `${field}[${at}]`, owner);
      const { operation, bucket, key, times, fault } = read;
      return {
        fault,
        ...(operation !== undefined && { operation }),
        ...(bucket !== undefined && { bucket }),
        ...(key !== undefined && { key }),
        ...(times !== undefined && { times }),
      };
    });
  },
  defaultValue: () => [],
};

/** The first rule that fits and has not struck as often as it may decides. */
export function faultHookOf(rules: readonly FaultRule[]): FaultHook {
  const left = rules.map(({ times = Infinity }) => times);
  return (call) => {
    const at = rules.findIndex(
      ({ operation = call.operation, bucket = call.bucket, key = call.key }, place) =>
        (left[place] ?? 0) > 0 &&
        operation === call.operation &&
        bucket === call.bucket &&
        key === call.key,
    );
    if (at === -1) return undefined;
    left[at] = (left[at] ?? 0) - 1;
    return rules[at]?.fault;
  };
}
