import type { Emitter, Clock } from '@holdfast/foundation';
import type { BackendFailure } from '../backend.ts';
import type { QueueEvents } from '../queue.ts';
import { type QueueStateEvent, type QueueState, transition } from './state.ts';

/** Where the queue stands, and why; announces every change. */
export class QueueStateMachine {
  readonly #announcer: Emitter<QueueEvents>;
  readonly #clock: Clock;
  #state: QueueState = { kind: 'opening' };
  #failure: BackendFailure | undefined;

  constructor(announcer: Emitter<QueueEvents>, clock: Clock) {
    this.#announcer = announcer;
    this.#clock = clock;
  }

  get state(): QueueState['kind'] {
    return this.#state.kind;
  }

  /** What keeps jobs from Redis at this moment. */
  get failure(): BackendFailure | undefined {
    return this.state === 'direct' ? undefined : this.#failure;
  }

  fail(failure: BackendFailure): void {
    this.#failure = failure;
    this.move({ kind: 'failed', errorClass: failure.errorClass });
  }

  move(moment: QueueStateEvent): void {
    const from = this.#state;
    const to = transition(from, moment);
    if (to === from) return;
    this.#state = to;
    this.#announcer.emit('state', {
      from: from.kind,
      to: to.kind,
      ...('errorClass' in to && { errorClass: to.errorClass }),
      atMs: this.#clock.now(),
    });
  }
}
