import { hideValue } from './secrets.ts';

/** Whether a failed call took effect. */
export type Outcome = 'not-applied' | 'unknown' | 'applied';

/** What an error tells beside its message. */
export interface HoldfastErrorDetails {
  /** The underlying failure, as it was caught. */
  cause?: unknown;
  /** Whether the same call may succeed later. */
  retryable?: boolean;
  /** Whether the call took effect. */
  outcome?: Outcome;
  /** When to call again, in milliseconds from the throw. */
  retryAfterMs?: number;
}

const brand = Symbol.for('holdfast.error');

/** The base of all errors of Holdfast. `code` is a literal of each class, for callers to switch on. */
export abstract class HoldfastError extends Error {
  abstract readonly code: string;
  readonly retryable: boolean;
  readonly outcome?: Outcome;
  readonly retryAfterMs?: number;

  constructor(message: string, details: HoldfastErrorDetails = {}) {
    super(message, 'cause' in details ? { cause: details.cause } : undefined);
    this.name = new.target.name;
    this.retryable = details.retryable ?? false;
    if (details.outcome !== undefined) this.outcome = details.outcome;
    if (details.retryAfterMs !== undefined) this.retryAfterMs = details.retryAfterMs;
  }
}

// On the prototype, because defining it on each error costs as much as half of the error itself.
Object.defineProperty(HoldfastError.prototype, brand, { value: true });

/** Recognizes a Holdfast error of any realm and any installed copy, which `instanceof` does not. */
export function isHoldfastError(value: unknown): value is HoldfastError {
  return typeof value === 'object' && value !== null && brand in value;
}

/** An option or argument is out of its range; nothing was started. */
export class InvalidOptionError extends HoldfastError {
  readonly code = 'INVALID_OPTION';
  /** The path of the field, such as `circuitBreaker.failureThreshold`. */
  readonly field: string;
  /** The given value; credentials of a URL, and the value of an unknown option, are hidden. */
  readonly value: unknown;
  /** A description of the permitted values. */
  readonly permitted: string;

  /** @param owner the function that was called, such as `createQueueAdapter`. */
  constructor(owner: string, field: string, given: unknown, permitted: string) {
    const isUrl = typeof given === 'string' && given.includes('://') && /[@?]/.test(given);
    const value = isUrl ? hideValue(given) : given;
    super(`${owner}: ${field} must be ${permitted}, but is ${describeValue(value)}`, {
      outcome: 'not-applied',
    });
    this.field = field;
    this.value = value;
    this.permitted = permitted;
  }
}

/** A short description of a value for an error message, never its whole content. */
export function describeValue(value: unknown): string {
  if (typeof value === 'string') {
    return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
  }
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'bigint') return `${value}n`;
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === 'object' && value !== null) return 'an object';
  return String(value);
}
