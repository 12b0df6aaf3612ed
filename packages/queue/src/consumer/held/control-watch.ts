import type { Clock, Timer } from '@holdfast/foundation';
import type { Subscription } from '../../backend.ts';
import type { HeldJobs } from './held-jobs.ts';

interface ControlWatchDeps {
  readonly subscription: Subscription;
  readonly clock: Clock;
  readonly held: HeldJobs;
}

/** A cancelled job is aborted within twice this time: half of the second that is promised. */
const LOOK_EVERY_MS = 400;

/** Asks the store, while the consumer holds jobs, whether operations concern them. An idle consumer asks nothing. */
export class ControlWatch {
  readonly #deps: ControlWatchDeps;
  #timer: Timer | undefined;
  #isStopped = false;
  #isPaused = false;

  constructor(deps: ControlWatchDeps) {
    this.#deps = deps;
  }

  /** The topic was paused when the store was asked last. */
  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** The consumer holds a job. */
  start(): void {
    const { subscription, clock } = this.#deps;
    if (this.#timer !== undefined || this.#isStopped || subscription.control === undefined) return;
    this.#timer = clock.schedule(LOOK_EVERY_MS, () => void this.#look(), { holdsProcess: false });
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  async #look(): Promise<void> {
    const { subscription, held } = this.#deps;
    const handles = held.handles();
    this.#isPaused = false;
    if (handles.length > 0) {
      // While the store is away, nothing can be cancelled.
      const control = await subscription.control?.(handles).catch(() => undefined);
      this.#isPaused = control?.isPaused ?? false;
      held.cancel(control?.cancelled ?? []);
    }
    this.#timer = undefined;
    if (handles.length > 0) this.start();
  }
}
