import {
  type Clock,
  type DeadlineQueue,
  InvalidOptionError,
  CallDeadline,
  type OptionRule,
} from '@holdfast/foundation';
import { timeoutOf } from '../options.ts';

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
  /** A second signal, of the operation that the call is part of. */
  readonly signal?: AbortSignal | undefined;
  /** Of `fallbackMs` each, shared by calls without their own timeout. */
  readonly deadlines?: DeadlineQueue;
}

/**
 * Starts the deadline of a call by its options. It must be released when the call has settled.
 * @throws InvalidOptionError
 */
export function startDeadline(
  owner: string,
  call: unknown,
  defaults: DeadlineDefaults,
): CallDeadline {
  const { clock, fallbackMs, atMostMs = Infinity, signal, deadlines } = defaults;
  let timeoutMs = Math.min(fallbackMs, atMostMs);
  let signals = signal === undefined ? undefined : [signal];
  if (call !== undefined) {
    if (typeof call !== 'object' || call === null) {
      throw new InvalidOptionError(owner, 'options', call, 'an object');
    }
    const given = 'timeoutMs' in call ? call.timeoutMs : undefined;
    timeoutMs = Math.min(timeoutOf(owner, given, fallbackMs), atMostMs);
    const own = 'signal' in call ? parseSignal(owner, call.signal) : undefined;
    if (own !== undefined) signals = [...(signals ?? []), own];
  }
  const shared = timeoutMs === fallbackMs ? deadlines : undefined;
  return new CallDeadline(clock, timeoutMs, signals, shared);
}

function parseSignal(owner: string, signal: unknown): AbortSignal | undefined {
  return signal === undefined ? undefined : signalRule.parse(signal, 'signal', owner);
}
