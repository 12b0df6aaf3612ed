import {
  type Clock,
  type DeadlineQueue,
  InvalidOptionError,
  CallDeadline,
  type OptionRule,
  hideValue,
} from '@holdfast/foundation';
import { timeoutOf } from '../options.ts';
import { OwnDeadline } from '../pool/own-deadline.ts';

/** Accepts signals of any realm. */
export const signalRule: OptionRule<AbortSignal | undefined> = {
  permitted: 'an AbortSignal',
  parse(value, field, owner) {
    if (isSignal(value)) return value;
    throw new InvalidOptionError(owner, field, value, this.permitted);
  },
  defaultValue: () => undefined,
};

function isSignal(value: unknown): value is AbortSignal {
  return (
    typeof value === 'object' && value !== null && 'aborted' in value && 'addEventListener' in value
  );
}

interface DeadlineDefaults {
  readonly clock: Clock;
  /** The timeout of a call without its own. */
  readonly fallbackMs: number;
  /** The longest timeout, whatever the call specifies. */
  readonly atMostMs?: number;
  /** The operation that the call is part of has a timeout of its own. */
  readonly isOwn?: boolean;
  /** A second signal, of the operation that the call is part of. */
  readonly signal?: AbortSignal | undefined;
  /** Of `fallbackMs` each, shared by calls without their own timeout. */
  readonly deadlines?: DeadlineQueue;
}

/** The options of a call by name: `idempotent` is for statements only. */
type Permitted = readonly ('signal' | 'timeoutMs' | 'idempotent')[];

export const CALL_OPTIONS: Permitted = ['signal', 'timeoutMs'];
export const QUERY_OPTIONS: Permitted = ['signal', 'timeoutMs', 'idempotent'];

/**
 * Starts the deadline of a call by its options. It must be released when the call has settled.
 * @throws InvalidOptionError
 */
export function startDeadline(
  owner: string,
  call: unknown,
  defaults: DeadlineDefaults,
  permitted: Permitted = QUERY_OPTIONS,
): CallDeadline {
  const { clock, fallbackMs, atMostMs = Infinity, isOwn = false, signal, deadlines } = defaults;
  let ownMs: number | undefined;
  let signals = signal === undefined ? undefined : [signal];
  if (call !== undefined) {
    const given = parseCall(owner, call, permitted);
    ownMs = timeoutOf(owner, given.timeoutMs);
    const own = parseSignal(owner, given.signal);
    if (own !== undefined) signals = [...(signals ?? []), own];
  }
  const timeoutMs = Math.min(ownMs ?? fallbackMs, atMostMs);
  if (ownMs !== undefined || isOwn) return new OwnDeadline(clock, timeoutMs, signals);
  const shared = timeoutMs === fallbackMs ? deadlines : undefined;
  return new CallDeadline(clock, timeoutMs, signals, shared);
}

interface GivenCall {
  readonly signal?: unknown;
  readonly timeoutMs?: unknown;
  readonly idempotent?: unknown;
}

/** Without a rule for each option, because these are parsed with every query. */
function parseCall(owner: string, call: unknown, permitted: readonly string[]): GivenCall {
  if (typeof call !== 'object' || call === null || Array.isArray(call)) {
    throw new InvalidOptionError(owner, 'options', call, 'an object');
  }
  for (const [key, value] of Object.entries(call)) {
    if (permitted.includes(key)) continue;
    const known = `one of the known options (${permitted.join(', ')})`;
    // It may be a secret in the wrong field.
    throw new InvalidOptionError(owner, key, hideValue(value), known);
  }
  const given: GivenCall = call;
  const { idempotent } = given;
  if (idempotent !== undefined && typeof idempotent !== 'boolean') {
    throw new InvalidOptionError(owner, 'idempotent', idempotent, 'true or false');
  }
  return given;
}

function parseSignal(owner: string, signal: unknown): AbortSignal | undefined {
  return signal === undefined ? undefined : signalRule.parse(signal, 'signal', owner);
}

/** @throws InvalidOptionError for options of a function that has none: ignored, they would be believed. */
export function refuseOptions(owner: string, given: readonly unknown[], instead: string): void {
  if (given.every((each) => each === undefined)) return;
  throw new InvalidOptionError(owner, 'options', hideValue(given[0]), `absent: ${instead}`);
}
