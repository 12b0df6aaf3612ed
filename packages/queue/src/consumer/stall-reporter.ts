import type { Clock, Emitter } from '@holdfast/foundation';
import type { BackendFailure } from '../backend.ts';
import { BackendError } from '../errors.ts';
import type { ConsumerStall, QueueEvents } from '../queue.ts';

interface StallReporterDeps {
  readonly topic: string;
  readonly events: Emitter<QueueEvents>;
  readonly clock: Clock;
}

/** What a consumer cannot do: connect, take jobs, or settle those it has handled. */
type Activity = 'connect' | 'take' | 'settle';

/**
 * Reports a consumer that the store refuses, while the queue itself may be healthy. An unreachable store is the
 * queue's own state, and not reported here.
 */
export class StallReporter {
  readonly #deps: StallReporterDeps;
  readonly #stalls = new Map<Activity, ConsumerStall>();

  constructor(deps: StallReporterDeps) {
    this.#deps = deps;
  }

  get current(): ConsumerStall | undefined {
    const [first] = this.#stalls.values();
    return first;
  }

  failed(activity: Activity, error: unknown): void {
    const { errorClass, message } = failureOf(error);
    if (errorClass === 'unreachable') return;
    const { topic, events, clock } = this.#deps;
    const atMs = clock.now();
    const known = this.#stalls.get(activity);
    if (known?.error === message) return;
    const sinceMs = known?.sinceMs ?? atMs;
    this.#stalls.set(activity, { errorClass, error: message, sinceMs });
    if (known?.errorClass !== errorClass) {
      events.emit('consumer-stalled', { topic, errorClass, error: message, atMs });
    }
  }

  succeeded(...activities: Activity[]): void {
    if (this.#stalls.size === 0) return;
    for (const activity of activities) this.#stalls.delete(activity);
    const { topic, events, clock } = this.#deps;
    if (this.#stalls.size === 0) events.emit('consumer-resumed', { topic, atMs: clock.now() });
  }
}

function failureOf(error: unknown): BackendFailure {
  if (error instanceof BackendError) return error;
  if (isFailure(error)) return error;
  return { errorClass: 'denied', message: String(error) };
}

function isFailure(error: unknown): error is BackendFailure {
  return typeof error === 'object' && error !== null && 'errorClass' in error && 'message' in error;
}
