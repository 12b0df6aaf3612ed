import {
  type Clock,
  type DeadlineQueue,
  InvalidOptionError,
  CallDeadline,
  type OptionRule,
} from '@holdfast/foundation';
import { timeoutOf } from '../options.ts';

/** A signal of any realm. */
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

export interface CallBounds {
  readonly clock: Clock;
  /** What stands when the call has no limit of its own. */
  readonly fallbackMs: number;
  /** The most it may have, whatever it asks for. */
  readonly atMostMs?: number;
  /** A second signal, of what the call is a part of. */
  readonly signal?: AbortSignal | undefined;
  /** Of `fallbackMs` each, shared by the calls that have no limit of their own. */
  readonly deadlines?: DeadlineQueue;
}

/**
 * One call's limit, from what its caller gave; to be released when the call has settled.
 * @throws InvalidOptionError
 */
export function limitOf(owner: string, call: unknown, bounds: CallBounds): CallDeadline {
  const { clock, fallbackMs, atMostMs = Infinity, signal, deadlines } = bounds;
  const outer = signal === undefined ? undefined : [signal];
  if (call === undefined) {
    const timeoutMs = Math.min(fallbackMs, atMostMs);
    return new CallDeadline(
      clock,
      timeoutMs,
      outer,
      timeoutMs === fallbackMs ? deadlines : undefined,
    );
  }
  if (typeof call !== 'object' || call === null) {
    throw new InvalidOptionError(owner, 'options', call, 'an object');
  }
  const asked = 'timeoutMs' in call ? call.timeoutMs : undefined;
  const timeoutMs = Math.min(timeoutOf(owner, asked, fallbackMs), atMostMs);
  const own = 'signal' in call ? readSignal(owner, call.signal) : undefined;
  const signals = own === undefined ? outer : [...(outer ?? []), own];
  return new CallDeadline(
    clock,
    timeoutMs,
    signals,
    timeoutMs === fallbackMs ? deadlines : undefined,
  );
}

function readSignal(owner: string, signal: unknown): AbortSignal | undefined {
  return signal === undefined ? undefined : signalRule.parse(signal, 'signal', owner);
}
