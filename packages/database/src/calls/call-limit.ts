import { type Clock, type Deadlines, InvalidOptionError, type Rule } from '@holdfast/resilience';
import { Limit } from '../limit.ts';
import { timeoutOf } from '../options.ts';

/** A signal of any realm. */
export const signalRule: Rule<AbortSignal | undefined> = {
  permitted: 'an AbortSignal',
  accepts(value, field, owner) {
    if (isSignal(value)) return value;
    throw new InvalidOptionError(owner, field, value, this.permitted);
  },
  absent: () => undefined,
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
  readonly deadlines?: Deadlines;
}

/**
 * One call's limit, from what its caller gave; to be released when the call has settled.
 * @throws InvalidOptionError
 */
export function limitOf(owner: string, call: unknown, bounds: CallBounds): Limit {
  const { clock, fallbackMs, atMostMs = Infinity, signal, deadlines } = bounds;
  const outer = signal === undefined ? undefined : [signal];
  if (call === undefined) {
    const timeoutMs = Math.min(fallbackMs, atMostMs);
    return new Limit(clock, timeoutMs, outer, timeoutMs === fallbackMs ? deadlines : undefined);
  }
  if (typeof call !== 'object' || call === null) {
    throw new InvalidOptionError(owner, 'options', call, 'an object');
  }
  const asked = 'timeoutMs' in call ? call.timeoutMs : undefined;
  const timeoutMs = Math.min(timeoutOf(owner, asked, fallbackMs), atMostMs);
  const own = 'signal' in call ? readSignal(owner, call.signal) : undefined;
  const signals = own === undefined ? outer : [...(outer ?? []), own];
  return new Limit(clock, timeoutMs, signals, timeoutMs === fallbackMs ? deadlines : undefined);
}

function readSignal(owner: string, signal: unknown): AbortSignal | undefined {
  return signal === undefined ? undefined : signalRule.accepts(signal, 'signal', owner);
}
