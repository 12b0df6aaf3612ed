import { type Clock, type Timer, abortable, callSafely, withDeadline } from '@holdfast/foundation';
import { AlertChannelTimeoutError } from './errors.ts';

interface SwitchDeps {
  readonly ping: (options: { signal: AbortSignal }) => Promise<unknown>;
  readonly everyMs: number;
  /** The deadline of one ping. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  /** Ends the pings. */
  readonly closing: AbortSignal;
  /** Whether the outside service may be told that all is well. */
  readonly isWell: () => boolean;
}

const NAME = 'the dead man switch';

/** Pings an outside service as long as its owner works, so that the service notices when it no longer does. */
export function startDeadMansSwitch(deps: SwitchDeps): Pick<Timer, 'cancel'> {
  const { ping, everyMs, timeoutMs, clock, closing, isWell } = deps;
  let timer: Timer;
  const late = (): Error => new AlertChannelTimeoutError(NAME, timeoutMs);
  const once = (): Promise<unknown> =>
    withDeadline(clock, timeoutMs, closing, late, (signal) => abortable(ping({ signal }), signal));
  const arm = (): Timer => clock.schedule(everyMs, onDue, { holdsProcess: false });
  const onDue = (): void => {
    if (closing.aborted) return;
    if (isWell()) callSafely(NAME, once);
    timer = arm();
  };
  timer = arm();
  return { cancel: () => timer.cancel() };
}
