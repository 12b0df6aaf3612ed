import { performance } from 'node:perf_hooks';
import { propertyOf } from '../errors/error-chain.ts';

/** The timers that `setTimeout` sets at the moment, and their time. */
export interface TimerHost {
  /**
   * `real`: the timers of the process. `faked`: those of a test, whose time can be read. `unknown`: neither is
   * certain, such as in the environment of a browser; the time is that of `performance`.
   */
  readonly kind: 'real' | 'faked' | 'unknown';
  readonly setTimeout: typeof setTimeout;
  nowMs(): number;
  arm(callback: () => void, delayMs: number, holdsProcess: boolean): NodeJS.Timeout;
  clear(handle: NodeJS.Timeout): void;
}

/** The method of the prototype: libraries that fake `performance` replace that of the object. */
const readMs = propertyOf(Object.getPrototypeOf(performance), 'now');
export const realNowMs: () => number =
  typeof readMs === 'function' ? readMs.bind(performance) : () => performance.now();

const ignore = (): void => {};

/** Finds out whose timers the process has now. */
export function currentTimerHost(): TimerHost {
  // Of the same moment, so that neither receives a timer that the other's counterpart has set.
  const { setTimeout: set, clearTimeout: clear } = globalThis;
  const time = timeOf(set, clear);
  return {
    setTimeout: set,
    arm(callback, delayMs, holdsProcess) {
      const handle = set(callback, delayMs);
      // A browser's is a number.
      if (!holdsProcess && typeof handle === 'object') handle.unref();
      return handle;
    },
    clear: (handle) => clear(handle),
    ...time,
  };
}

function timeOf(
  set: typeof setTimeout,
  clear: typeof clearTimeout,
): Pick<TimerHost, 'kind' | 'nowMs'> & Partial<Pick<TimerHost, 'clear'>> {
  // @sinonjs/fake-timers, which Jest, Vitest and Sinon install: each function refers to its clock.
  const fakePerformance = propertyOf(propertyOf(set, 'clock'), 'performance');
  const fakeNow = propertyOf(fakePerformance, 'now');
  if (typeof fakeNow === 'function') {
    return { kind: 'faked', nowMs: () => Number(Reflect.apply(fakeNow, fakePerformance, [])) };
  }
  const probe = set(ignore, 0);
  clear(probe);
  // The timers of node:test know when they are due, which is now for one without a delay.
  if (typeof propertyOf(probe, 'runAt') === 'number') {
    const nowMs = (): number => {
      const now = set(ignore, 0);
      clear(now);
      return Number(propertyOf(now, 'runAt'));
    };
    // To clear one of an earlier test would remove one of this test: it stays, without effect.
    return { kind: 'faked', nowMs, clear: ignore };
  }
  const isReal = propertyOf(probe, '_idleTimeout') !== undefined;
  return isReal
    ? { kind: 'real', nowMs: realNowMs }
    : { kind: 'unknown', nowMs: () => globalThis.performance.now() };
}
