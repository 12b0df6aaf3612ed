import {
  InvalidOptionError,
  type OptionRule,
  integer,
  oneOf,
  optional,
  parseOptions,
  string,
} from '@holdfast/foundation';
import { parseKind } from '../../options/kind.ts';
import { listOf } from '../../options/list-rule.ts';
import { withoutUndefined } from '../../options/without-undefined.ts';

/** What is asked: a page of the list, one bundle or the groups. */
export type EsimGoOperation = 'catalogue' | 'bundle' | 'groups';

/** A request as faults are chosen for it. */
export interface EsimGoCall {
  readonly operation: EsimGoOperation;
  /** The filter of a list. */
  readonly group?: string;
  /** The page of a list, as it was asked. */
  readonly page?: number;
}

/** How a body is no JSON: cut in the middle, a page of a proxy, nothing, or text. */
type MalformedBody = 'truncated' | 'html' | 'empty' | 'text';

/** A fault of one request. */
export type EsimGoFault =
  /** Responds with this status; 429 has its usual message and a `Retry-After` of 1 if none is given. */
  | {
      readonly kind: 'status';
      readonly status: number;
      readonly message?: string;
      /** Sent as Retry-After, in seconds. */
      readonly retryAfterS?: number;
    }
  /** Delays the response. */
  | { readonly kind: 'slow'; readonly delayMs: number }
  /** Never responds. */
  | { readonly kind: 'silent' }
  /** Resets the connection, before the response or in the middle of its body. */
  | { readonly kind: 'reset'; readonly when?: 'before' | 'during' }
  /** Responds with 200 and a body that is no JSON. */
  | { readonly kind: 'malformed'; readonly body: MalformedBody }
  /** Damages each `every`th bundle of the response: fields are left out, or have other values. */
  | {
      readonly kind: 'damage';
      /** Default 1: all of them. */
      readonly every?: number;
      readonly omit?: readonly string[];
      readonly set?: Readonly<Record<string, unknown>>;
    }
  /** Before the response, adds rows to the group, or removes them with a negative number; they stay so. */
  | { readonly kind: 'drift'; readonly rows: number }
  /** Responds with another page. */
  | { readonly kind: 'page'; readonly page: number }
  /** Lies about the counts of the envelope. */
  | {
      readonly kind: 'counts';
      readonly rows?: number;
      readonly pageCount?: number;
      readonly pageSize?: number;
    }
  /** This response, such as a recorded one; a string is sent as it is, any other body as JSON. */
  | {
      readonly kind: 'response';
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: unknown;
    };

/** A fault as data, for the requests that all of its other fields describe. */
export interface EsimGoFaultRule {
  /** Default: every operation. */
  readonly operation?: EsimGoOperation;
  /** Default: every group, and lists of all groups. */
  readonly group?: string;
  /** Default: every page. */
  readonly page?: number;
  /** The number of such requests before the first that it affects. Default 0. */
  readonly after?: number;
  /** The number of requests it affects. Default: all. */
  readonly times?: number;
  readonly fault: EsimGoFault;
}

/** Called for each request before it is handled; `undefined` injects no fault. */
export type EsimGoFaultHook = (call: EsimGoCall) => EsimGoFault | undefined;

const MAX_RULES = 1_000;
const LONGEST_MS = 3_600_000;
const MOST = 100_000_000;
const count = (min: number): OptionRule<number | undefined> =>
  optional(integer({ min, max: MOST }));
const jsonRule: OptionRule<unknown> = {
  permitted: 'a value with a JSON form',
  parse(value, field, owner) {
    if (isJson(value)) return value;
    throw new InvalidOptionError(owner, field, value, this.permitted);
  },
  defaultValue: () => undefined,
};
const recordRule = <T>(isValue: (value: unknown) => value is T): OptionRule<Record<string, T>> => ({
  permitted: 'an object from names to values',
  parse(value, field, owner) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new InvalidOptionError(owner, field, value, this.permitted);
    }
    const entries: Record<string, T> = {};
    for (const [name, content] of Object.entries(value)) {
      if (!isValue(content)) {
        throw new InvalidOptionError(owner, `${field}.${name}`, content, this.permitted);
      }
      entries[name] = content;
    }
    return entries;
  },
  defaultValue: () => ({}),
});
const isHeader = (value: unknown): value is string =>
  typeof value === 'string' && /^[\t\x20-\x7e]*$/.test(value);

const shapes = {
  status: {
    kind: oneOf(['status']),
    status: integer({ min: 400, max: 599 }),
    message: optional(string({ minLength: 0, maxLength: 1_000 })),
    retryAfterS: optional(integer({ min: 0, max: 86_400 })),
  },
  slow: { kind: oneOf(['slow']), delayMs: integer({ min: 1, max: LONGEST_MS }) },
  silent: { kind: oneOf(['silent']) },
  reset: { kind: oneOf(['reset']), when: oneOf(['before', 'during'], 'before') },
  malformed: {
    kind: oneOf(['malformed']),
    body: oneOf<MalformedBody>(['truncated', 'html', 'empty', 'text']),
  },
  damage: {
    kind: oneOf(['damage']),
    every: integer({ min: 1, max: MOST, default: 1 }),
    omit: listOf(string({ maxLength: 200 }), 100),
    set: recordRule<unknown>(isJson),
  },
  drift: { kind: oneOf(['drift']), rows: integer({ min: -MOST, max: MOST }) },
  page: { kind: oneOf(['page']), page: integer({ min: 0, max: MOST }) },
  counts: { kind: oneOf(['counts']), rows: count(0), pageCount: count(0), pageSize: count(0) },
  response: {
    kind: oneOf(['response']),
    status: integer({ min: 200, max: 599 }),
    headers: recordRule(isHeader),
    body: jsonRule,
  },
};

const kindRule = oneOf<EsimGoFault['kind']>([
  'status',
  'slow',
  'silent',
  'reset',
  'malformed',
  'damage',
  'drift',
  'page',
  'counts',
  'response',
]);

function parseFault(value: unknown, field: string, owner: string): EsimGoFault {
  const kind = parseKind(kindRule, value, field, owner);
  switch (kind) {
    case 'status':
      return withoutUndefined(parseOptions(owner, shapes.status, value, field));
    case 'counts':
      return withoutUndefined(parseOptions(owner, shapes.counts, value, field));
    case 'response':
      return parseOptions(owner, shapes.response, value, field);
    case 'slow':
      return parseOptions(owner, shapes.slow, value, field);
    case 'silent':
      return parseOptions(owner, shapes.silent, value, field);
    case 'reset':
      return parseOptions(owner, shapes.reset, value, field);
    case 'malformed':
      return parseOptions(owner, shapes.malformed, value, field);
    case 'damage':
      return parseOptions(owner, shapes.damage, value, field);
    case 'drift':
      return parseOptions(owner, shapes.drift, value, field);
    case 'page':
    default:
      return parseOptions(owner, shapes.page, value, field);
  }
}

const ruleShape = {
  operation: optional(oneOf<EsimGoOperation>(['catalogue', 'bundle', 'groups'])),
  group: optional(string({ maxLength: 200 })),
  page: count(0),
  after: count(0),
  times: count(1),
  fault: { permitted: 'a fault', parse: parseFault },
};

/** A list of fault rules. */
export const esimGoFaultRulesRule: OptionRule<readonly EsimGoFaultRule[]> = listOf(
  {
    permitted: 'a fault rule',
    parse: (value, field, owner) => withoutUndefined(parseOptions(owner, ruleShape, value, field)),
  },
  MAX_RULES,
);

/** Injects the fault of the first rule that describes a call, is due and has injections left. */
export function esimGoFaultHook(rules: readonly EsimGoFaultRule[]): EsimGoFaultHook {
  const entries = rules.map((rule) => ({
    rule,
    spared: rule.after ?? 0,
    left: rule.times ?? Infinity,
  }));
  return (call) => {
    for (const entry of entries) {
      if (entry.left === 0 || !describes(entry.rule, call)) continue;
      if (entry.spared > 0) {
        entry.spared -= 1;
        continue;
      }
      entry.left -= 1;
      return entry.rule.fault;
    }
    return undefined;
  };
}

function describes(rule: EsimGoFaultRule, call: EsimGoCall): boolean {
  const { operation = call.operation, group = call.group, page = call.page } = rule;
  return operation === call.operation && group === call.group && page === call.page;
}

/** Without functions, symbols, big integers and circles. */
function isJson(value: unknown): value is unknown {
  try {
    return JSON.stringify(value) !== undefined;
  } catch {
    return false;
  }
}
