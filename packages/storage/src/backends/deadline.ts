import type { Clock } from '@holdfast/resilience';

/** Why a call was ended by its own deadline; never leaves the backend but as a cause. */
export interface Deadline {
  readonly signal: AbortSignal;
  /** Begins the time anew: something has moved. */
  extend(): void;
  /** Leaves neither timer nor listener. */
  end(): void;
}

/** Who is to be aborted with a signal, by one listener: adding another walks through all that it has. */
interface Followers {
  readonly controllers: Set<AbortController>;
  readonly abort: () => void;
}

const followersOf = new WeakMap<AbortSignal, Followers>();

/** A signal that follows the caller's, and is aborted too when `timeoutMs` pass without `extend`. */
export function deadline(clock: Clock, timeoutMs: number, signal: AbortSignal): Deadline {
  const controller = new AbortController();
  follow(signal, controller);
  const arm = () =>
    clock.schedule(
      timeoutMs,
      () => {
        // Who never reads the body never ends this either.
        unfollow(signal, controller);
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
      unfollow(signal, controller);
    },
  };
}

function follow(signal: AbortSignal, controller: AbortController): void {
  if (signal.aborted) {
    controller.abort(signal.reason);
    return;
  }
  let followers = followersOf.get(signal);
  if (followers === undefined) {
    const controllers = new Set<AbortController>();
    const abort = (): void => {
      for (const each of controllers) each.abort(signal.reason);
    };
    followers = { controllers, abort };
    followersOf.set(signal, followers);
    signal.addEventListener('abort', abort, { once: true });
  }
  followers.controllers.add(controller);
}

function unfollow(signal: AbortSignal, controller: AbortController): void {
  const followers = followersOf.get(signal);
  if (followers?.controllers.delete(controller) !== true || followers.controllers.size > 0) return;
  followersOf.delete(signal);
  signal.removeEventListener('abort', followers.abort);
}
