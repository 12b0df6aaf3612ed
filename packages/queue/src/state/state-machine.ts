import type { Clock, Emitter } from '@holdfast/foundation';
import type { BackendFailure } from '../backend.ts';
import type { QueueEvents } from '../queue.ts';
import { type QueueState, type QueueStateEvent, transition } from './queue-state.ts';

/** Holds the state of the queue and emits every change. */
export class QueueStateMachine {
  readonly #events: Emitter<QueueEvents>;
  readonly #clock: Clock;
  #state: QueueState = { kind: 'opening' };
  #failure: BackendFailure | undefined;

  constructor(events: Emitter<QueueEvents>, clock: Clock) {
    this.#events = events;
    this.#clock = clock;
  }

  get state(): QueueState['kind'] {
    return this.#state.kind;
  }

  /** The failure that caused the current state. */
  get failure(): BackendFailure | undefined {
    return this.state === 'direct' ? undefined : this.#failure;
  }

  fail(failure: BackendFailure): void {
    this.#failure = failure;
    this.dispatch({ kind: 'failed', errorClass: failure.errorClass });
  }

  dispatch(event: QueueStateEvent): void {
    const from = this.#state;
    const to = transition(from, event);
    if (to === from) return;
    this.#state = to;
    this.#events.emit('state', {
      from: from.kind,
      to: to.kind,
      ...('errorClass' in to && { errorClass: to.errorClass }),
      atMs: this.#clock.now(),
    });
  }
}
