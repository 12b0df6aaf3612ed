import {
  type OptionRule,
  InvalidOptionError,
  integer,
  boolean,
  oneOf,
  parseOptions,
} from '@holdfast/foundation';

/**
 * What becomes of a connection at its start: it is served; nobody says anything; FIN or RST where the
 * answer to the start-up packet would stand; or an error with that SQLSTATE stands there, such as `57P03`.
 */
export type Reception = 'serve' | 'silent' | 'fin' | 'reset' | { readonly error: string };

/** How the fake behaves from now on. */
export interface FakeBehavior {
  /** Default `serve`. */
  reception: Reception;
  /** Sessions at one time; each further one is refused with 53300. Default 1 000. */
  maxConnections: number;
  /** Default `primary`. A standby refuses to write with 25006. */
  role: 'primary' | 'standby';
  /** Default 1. */
  timeline: number;
  /** How far the primary's log has been written. Default `0/1000000`. */
  lsn: string;
  /** How far a standby has replayed it. Default `0/1000000`. */
  replayLsn: string;
  /** Milliseconds before each reply, beside what the reply itself says. Default 0. */
  replyDelayMs: number;
  /** Whether it stands still: whatever arrives is read when it goes on. Default false. */
  frozen: boolean;
  /** Whether a CancelRequest is heeded. Default true. */
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

/** @throws InvalidOptionError */
export function parseBehavior(owner: string, given: unknown): FakeBehavior {
  return parseOptions(owner, behaviorShape, given);
}
