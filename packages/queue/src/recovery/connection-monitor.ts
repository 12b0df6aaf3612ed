import { sleep } from '@holdfast/foundation';
import type { BackendFailure } from '../backend.ts';
import { MAX_BATCH_JOBS } from '../batch-limits.ts';
import { BackendError, toBackendFailure } from '../errors.ts';
import type { ProducerDeps, ProducerState } from '../state/producer-state.ts';
import { refusalBackoff } from './refusal-backoff.ts';
import { Drainer } from './drainer.ts';

/**
 * Moves the queue between its states. After a failure it waits for the connection, has lost jobs sent again, has the
 * backlog drained in order, and returns to `direct`.
 */
export class ConnectionMonitor {
  readonly #deps: ProducerDeps;
  readonly #state: ProducerState;
  readonly #drainer: Drainer;
  readonly #closing = new AbortController();
  #recovering: Promise<void> | undefined;
  #forwarding: Promise<void> | undefined;
  /** The connection failed during this recovery: Redis may have lost jobs since it was asked. */
  #isOutdated = false;

  constructor(deps: ProducerDeps, state: ProducerState) {
    this.#deps = deps;
    this.#state = state;
    this.#drainer = new Drainer(deps, state);
  }

  /** The connection is up. */
  connected(): void {
    this.#state.recordConnected();
    this.#start();
  }

  /** Redis is unreachable, or rejects jobs. A recovery in progress starts over. */
  failed(failure: BackendFailure): void {
    this.#state.recordFailure(failure);
    this.#state.throttleNewJobs(false);
    this.#isOutdated = true;
    this.#start();
  }

  /** Drains what is appended to the backlog while the queue is `direct`; one run at a time. */
  forward(): void {
    if (this.#forwarding !== undefined || this.#closing.signal.aborted) return;
    this.#forwarding = this.#forwardAll().finally(() => {
      this.#forwarding = undefined;
      if (this.#state.machine.state === 'direct' && this.#deps.backlog.size > 0) this.forward();
    });
  }

  async close(): Promise<void> {
    this.#closing.abort(new BackendError('unreachable', 'the queue is closing'));
    await Promise.all([this.#recovering, this.#forwarding]);
  }

  /** Recovers until the queue is `direct`; one run at a time. */
  #start(): void {
    if (this.#recovering !== undefined || this.#closing.signal.aborted) return;
    this.#recovering = this.#recover().finally(() => {
      this.#recovering = undefined;
      if (this.#state.machine.state !== 'direct') this.#start();
    });
  }

  async #forwardAll(): Promise<void> {
    const { machine } = this.#state;
    try {
      while (machine.state === 'direct' && !this.#closing.signal.aborted) {
        const taken = await this.#drainer.drainWindow();
        if (taken === 0 && this.#deps.backlog.size === 0) return;
      }
    } catch (error) {
      if (!this.#closing.signal.aborted) this.failed(toBackendFailure(error));
    }
  }

  async #recover(): Promise<void> {
    const { backend, clock, random } = this.#deps;
    const { machine } = this.#state;
    const { signal } = this.#closing;
    const delays = refusalBackoff.delays(random);
    while (machine.state !== 'direct' && !signal.aborted) {
      try {
        await backend.whenConnected(signal);
        // Two concurrent drains would publish the same window twice, which is harmless but not in order.
        await this.#forwarding;
        this.#isOutdated = false;
        await this.#drainer.resendInherited();
        await this.#drainer.resendLost();
        if (!this.#isOutdated) this.#state.recordNothingLost();
        await this.#drain();
      } catch (error) {
        if (signal.aborted) return;
        this.#state.recordFailure(toBackendFailure(error));
        this.#state.throttleNewJobs(false);
        await sleep(clock, delays.next().value, signal).catch(() => undefined);
      }
    }
  }

  /**
   * Drains the backlog window by window until the queue is `direct`. Only an accepted window changes the state to
   * `draining`; a rejected attempt changes nothing.
   */
  async #drain(): Promise<void> {
    const { backlog, events, clock } = this.#deps;
    const { machine, isJournalFirst, pendingAppends } = this.#state;
    const startedMs = clock.now();
    let jobs = 0;
    while (machine.state !== 'direct') {
      this.#closing.signal.throwIfAborted();
      if (this.#isOutdated) throw new BackendError('unreachable', 'Redis went away meanwhile');
      this.#state.throttleNewJobs(machine.state === 'draining' && backlog.size < MAX_BATCH_JOBS);
      const taken = await this.#drainer.drainWindow();
      jobs += taken;
      // Where every job passes the backlog, it need not be empty: a small rest is forwarded afterwards.
      const isLast = isJournalFirst && taken > 0 && backlog.size < MAX_BATCH_JOBS;
      if (isLast && !this.#isOutdated) machine.dispatch({ kind: 'backlog-drained' });
      else if (taken > 0) machine.dispatch({ kind: 'batch-accepted' });
      else if (pendingAppends.size > 0) await Promise.all(pendingAppends);
      else if (backlog.size === 0 && !this.#isOutdated)
        machine.dispatch({ kind: 'backlog-drained' });
    }
    this.#state.throttleNewJobs(false);
    this.forward();
    if (jobs === 0) return;
    const atMs = clock.now();
    events.emit('drained', { jobs, tookMs: atMs - startedMs, atMs });
  }
}
