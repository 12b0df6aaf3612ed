import { type Clock, sleep } from '@holdfast/foundation';
import { holdAnswer } from './held-answer.ts';
import type { InjectedFault } from './injected-faults.ts';

/** What a late answer depends on. */
interface LateAnswerOptions {
  readonly signal: AbortSignal | undefined;
  /** Calls over one connection are answered in their order, as over a socket. Default: no order. */
  readonly connection?: object | undefined;
}

/**
 * Delays answers by `network_delay`. A call is made at once and only its answer is late, so that what a connection
 * carries keeps its order: the commands to the server, and the answers to the caller.
 */
export class LateAnswers {
  readonly #clock: Clock;
  /** The last answer of a connection that is still to come, with those before it. */
  readonly #last = new WeakMap<object, Promise<void>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Settles as `answer` does, after the delay of its faults and the earlier answers of its connection. */
  deliver<T>(
    answer: Promise<T>,
    faults: readonly InjectedFault[],
    { signal, connection }: LateAnswerOptions,
  ): Promise<T> {
    const delayMs = delayOf(faults);
    const before = connection === undefined ? undefined : this.#last.get(connection);
    if (delayMs === undefined && before === undefined) return answer;
    const late = this.#afterDelay(answer, delayMs, before, signal);
    // A timeout has no answer that could hold up others.
    if (connection === undefined || faults.some(({ kind }) => kind === 'timeout')) return late;
    const settled = late.then(
      () => {},
      () => {},
    );
    this.#last.set(connection, settled);
    void settled.then(() => {
      if (this.#last.get(connection) === settled) this.#last.delete(connection);
    });
    return late;
  }

  async #afterDelay<T>(
    answer: Promise<T>,
    delayMs: number | undefined,
    before: Promise<void> | undefined,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    const held = await answer.then(holdAnswer, () => undefined);
    try {
      if (delayMs !== undefined) await sleep(this.#clock, delayMs, signal);
      await before;
    } catch (reason) {
      held?.discard(reason);
      throw reason;
    }
    held?.release();
    return answer;
  }
}

/** Returns the delay of `network_delay`, or undefined without it. */
function delayOf(faults: readonly InjectedFault[]): number | undefined {
  const delay = faults.find(({ kind }) => kind === 'network_delay');
  return delay && delay.fault.latencyMs + delay.random() * delay.fault.jitterMs;
}
