import { type Clock, LinkedList, type ListNode } from '@holdfast/foundation';

/** Why a call was ended by its own deadline; never leaves the backend but as a cause. */
export interface RequestTimeout {
  readonly signal: AbortSignal;
  /** Begins the time anew: something has moved. */
  restart(): void;
  /** Leaves neither timer nor listener. */
  end(): void;
}

interface Follower extends ListNode {
  readonly controller: AbortController;
}

/** Who is to be aborted with a signal, by one listener: adding another walks through all that it has. */
interface Followers {
  readonly line: LinkedList<Follower>;
  readonly abort: () => void;
}

const followersOf = new WeakMap<AbortSignal, Followers>();

/** A signal that follows the caller's, and is aborted too when `timeoutMs` pass without `extend`. */
export function startRequestTimeout(
  clock: Clock,
  timeoutMs: number,
  signal: AbortSignal,
): RequestTimeout {
  const controller = new AbortController();
  const follower: Follower = { controller, list: undefined, previous: undefined, next: undefined };
  follow(signal, follower);
  const arm = () =>
    clock.schedule(
      timeoutMs,
      () => {
        // Who never reads the body never ends this either.
        unfollow(signal, follower);
        const error = new Error(`no answer within ${timeoutMs} ms`);
        controller.abort(Object.assign(error, { code: 'DEADLINE' }));
      },
      { holdsProcess: false },
    );
  let timer = arm();
  return {
    signal: controller.signal,
    restart() {
      timer.cancel();
      timer = arm();
    },
    end() {
      timer.cancel();
      unfollow(signal, follower);
    },
  };
}

function follow(signal: AbortSignal, follower: Follower): void {
  if (signal.aborted) {
    follower.controller.abort(signal.reason);
    return;
  }
  let followers = followersOf.get(signal);
  if (followers === undefined) {
    const line = new LinkedList<Follower>();
    const abort = (): void => {
      // Whoever is aborted may end others at once.
      for (let next = line.first; next !== undefined; next = line.first) {
        line.remove(next);
        next.controller.abort(signal.reason);
      }
    };
    followers = { line, abort };
    followersOf.set(signal, followers);
    signal.addEventListener('abort', abort, { once: true });
  }
  followers.line.append(follower);
}

function unfollow(signal: AbortSignal, follower: Follower): void {
  const followers = followersOf.get(signal);
  if (followers?.line.remove(follower) !== true || followers.line.size > 0) return;
  followersOf.delete(signal);
  signal.removeEventListener('abort', followers.abort);
}
