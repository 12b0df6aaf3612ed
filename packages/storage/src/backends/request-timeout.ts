import {
  type AbortListener,
  type Clock,
  addAbortListener,
  removeAbortListener,
} from '@holdfast/foundation';

/** The time limit of one request; its signal aborts when the time is over, or with the caller's signal. */
export interface RequestTimeout {
  readonly signal: AbortSignal;
  /** Starts the time anew, because data moved. */
  restart(): void;
  /** Removes timer and listener. */
  end(): void;
}

export function startRequestTimeout(
  clock: Clock,
  timeoutMs: number,
  signal: AbortSignal,
): RequestTimeout {
  const controller = new AbortController();
  const listener: AbortListener = {
    onAbort: (reason) => controller.abort(reason),
    list: undefined,
    previous: undefined,
    next: undefined,
  };
  addAbortListener(signal, listener);
  const expire = (): void => {
    // A caller who never reads the body never calls `end`.
    removeAbortListener(signal, listener);
    const error = new Error(`no response within ${timeoutMs} ms`);
    controller.abort(Object.assign(error, { code: 'DEADLINE' }));
  };
  const arm = () => clock.schedule(timeoutMs, expire, { holdsProcess: false });
  let timer = arm();
  return {
    signal: controller.signal,
    restart() {
      timer.cancel();
      timer = arm();
    },
    end() {
      timer.cancel();
      removeAbortListener(signal, listener);
    },
  };
}
