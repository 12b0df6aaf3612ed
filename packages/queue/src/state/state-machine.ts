import type { Clock, Emitter } from '@holdfast/foundation';
import type { BackendFailure } from '../backend.ts';
import type { QueueEvents } from '../queue.ts';
import { type QueueState, type QueueStateEvent, transition } from './queue-state.ts';

/** Holds the state of the queue and emits every change that a user sees. */
export class QueueStateMachine {
  readonly #events: Emitter<QueueEvents>;
  readonly #clock: Clock;
  #state: QueueState = { kind: 'opening' };
  #shown: QueueState;
  #failure: BackendFailure | undefined;

  /** @param shown the state of the machine that this one continues, until it has left its own `opening`. */
  constructor(events: Emitter<QueueEvents>, clock: Clock, shown: QueueState = { kind: 'opening' }) {
    this.#events = events;
    this.#clock = clock;
    this.#shown = shown;
  }

  /** The state as users see it. */
  get shown(): QueueState {
    return this.#shown;
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
    const to = transition(this.#state, event);
    if (to === this.#state) return;
    this.#state = to;
    const from = this.#shown;
    this.#shown = to;
    if (isSame(from, to)) return;
    this.#events.emit('state', {
      from: from.kind,
      to: to.kind,
      ...('errorClass' in to && { errorClass: to.errorClass }),
      atMs: this.#clock.now(),
    });
  }
}

function isSame(one: QueueState, other: QueueState): boolean {
  const [oneClass, otherClass] = [one, other].map((state) =>
    'errorClass' in state ? state.errorClass : undefined,
  );
  return one.kind === other.kind && oneClass === otherClass;
}
