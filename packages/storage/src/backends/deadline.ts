import type { Clock } from '@holdfast/resilience';

/** Why a call was ended by its own deadline; never leaves the backend but as a cause. */
export interface Deadline {
  readonly signal: AbortSignal;
  /** Begins the time anew: something has moved. */
  extend(): void;
  /** Leaves neither timer nor listener. */
  end(): void;
}

/** A signal that follows the caller's, and is aborted too when `timeoutMs` pass without `extend`. */
export function deadline(clock: Clock, timeoutMs: number, signal: AbortSignal): Deadline {
  const controller = new AbortController();
  const follow = (): void => controller.abort(signal.reason);
  if (signal.aborted) follow();
  else signal.addEventListener('abort', follow, { once: true });
  const arm = () =>
    clock.schedule(
      timeoutMs,
      () => {
        // Who never reads the body never ends this either.
        signal.removeEventListener('abort', follow);
        const error = new Error(`no answer within ${timeoutMs} ms`);
        controller.abort(Object.assign(error, { code: 'DEADLINE' }));
      },
      { holdsProcess: false },
    );
  let timer = arm();
  return {
    signal: controller.signal,
    extend() {
      timer.cancel();
      timer = arm();
    },
    end() {
      timer.cancel();
      signal.removeEventListener('abort', follow);
    },
  };
}
