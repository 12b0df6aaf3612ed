import {
  type OptionRule,
  integer,
  object,
  oneOf,
  optional,
  parseOptions,
  string,
} from '@holdfast/foundation';
import { parseKind } from '../options/kind.ts';
import { listOf } from '../options/list-rule.ts';
import { withoutUndefined } from '../options/without-undefined.ts';
import type { FaultHook, ServerFault } from './call-faults.ts';

/** A fault as data, for a server in another process. */
export interface FaultRule {
  /** The API's name, such as `PutObject` or `upload`. Default: every operation. */
  readonly operation?: string;
  /** Default: every bucket. */
  readonly bucket?: string;
  /** Default: every key. */
  readonly key?: string;
  /** The number of requests it affects, counted from when faults are set. Default: all. */
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

const kindRule = oneOf(['error', 'reset', 'delay']);
const faultRule: OptionRule<ServerFault> = {
  permitted: `an object with kind 'error', 'reset' or 'delay'`,
  parse(value, field, owner) {
    const kind = parseKind(kindRule, value, field, owner);
    if (kind === 'error') {
      return { ...withoutUndefined(parseOptions(owner, faultShapes.error, value, field)), kind };
    }
    if (kind === 'reset') return parseOptions(owner, faultShapes.reset, value, field);
    return parseOptions(owner, faultShapes.delay, value, field);
  },
};

const ruleShape = {
  operation: name,
  bucket: name,
  key: name,
  times: optional(integer({ min: 1, max: 1_000_000 })),
  fault: faultRule,
};

/** A list of fault rules. */
export const faultRulesRule: OptionRule<readonly FaultRule[]> = listOf(
  {
    permitted: 'a fault rule',
    parse: (value, field, owner) => withoutUndefined(object(ruleShape).parse(value, field, owner)),
  },
  MAX_RULES,
);

/** Injects the fault of the first rule that matches a call and has injections left. */
export function faultHookOf(rules: readonly FaultRule[]): FaultHook {
  const entries = rules.map((rule) => ({ rule, left: rule.times ?? Infinity }));
  return (call) => {
    const entry = entries.find(
      ({ rule: { operation = call.operation, bucket = call.bucket, key = call.key }, left }) =>
        left > 0 && operation === call.operation && bucket === call.bucket && key === call.key,
    );
    if (entry === undefined) return undefined;
    entry.left -= 1;
    return entry.rule.fault;
  };
}
