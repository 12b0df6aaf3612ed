import {
  type OptionRule,
  InvalidOptionError,
  integer,
  boolean,
  object,
  oneOf,
  parseOptions,
} from '@holdfast/foundation';

/**
 * The reaction to a start-up packet: `serve`; no reply at all; FIN or RST instead of a reply; or an error with
 * that SQLSTATE, such as `57P03`.
 */
export type Reception = 'serve' | 'silent' | 'fin' | 'reset' | { readonly error: string };

/** The server's behavior and faults. */
export interface FakeBehavior {
  /** Default `serve`. */
  reception: Reception;
  /** Concurrent sessions; each further one is rejected with 53300. Default 1 000. */
  maxConnections: number;
  /** Default `primary`. A standby rejects writes with 25006. */
  role: 'primary' | 'standby';
  /** Default 1. */
  timeline: number;
  /** The end of the primary's log. Default `0/1000000`. */
  lsn: string;
  /** The position that a standby has replayed. Default `0/1000000`. */
  replayLsn: string;
  /** Milliseconds before each reply, in addition to the reply's own delay. Default 0. */
  replyDelayMs: number;
  /** Whether it is frozen: data that arrives is read when it resumes. Default false. */
  frozen: boolean;
  /** Whether it obeys a CancelRequest. Default true. */
  cancels: boolean;
}

const receptionRule: OptionRule<Reception> = {
  permitted: `'serve', 'silent', 'fin', 'reset' or { error: a SQLSTATE }`,
  parse(value, field, owner) {
    if (value === 'serve' || value === 'silent' || value === 'fin' || value === 'reset') {
      return value;
    }
    if (typeof value === 'object' && value !== null && 'error' in value) {
      const { error } = value;
      if (typeof error === 'string' && /^[0-9A-Z]{5}$/.test(error)) return { error };
    }
    throw new InvalidOptionError(owner, field, value, this.permitted);
  },
  defaultValue: () => 'serve',
};

const lsnRule: OptionRule<string> = {
  permitted: 'a position such as 0/16B3748',
  parse(value, field, owner) {
    if (typeof value === 'string' && /^[0-9A-F]{1,8}\/[0-9A-F]{1,8}$/i.test(value)) return value;
    throw new InvalidOptionError(owner, field, value, this.permitted);
  },
  defaultValue: () => '0/1000000',
};

const behaviorShape = {
  reception: receptionRule,
  maxConnections: integer({ min: 0, max: 100_000, default: 1_000 }),
  role: oneOf(['primary', 'standby'], 'primary'),
  timeline: integer({ min: 1, max: 4_294_967_295, default: 1 }),
  lsn: lsnRule,
  replayLsn: lsnRule,
  replyDelayMs: integer({ min: 0, max: 86_400_000, default: 0 }),
  frozen: boolean(false),
  cancels: boolean(true),
};

export const behaviorRule: OptionRule<FakeBehavior> = object(behaviorShape);

/** @throws InvalidOptionError */
export function parseBehavior(owner: string, given: unknown): FakeBehavior {
  return parseOptions(owner, behaviorShape, given);
}
