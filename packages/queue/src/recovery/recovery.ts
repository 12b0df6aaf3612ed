import { type Emitter, type Clock, type Random, sleep } from '@holdfast/foundation';
import type { BackendFailure, Publication, PublishReceipt, PublishedJob } from '../backend.ts';
import { type DrainParts, drainOnce, publishKeeping, repeatInherited } from './drain.ts';
import { BackendError } from '../errors.ts';
import { MAX_BATCH_JOBS } from '../producer/topic-buffer.ts';
import type { QueueEvents } from '../queue.ts';
import { refusalBackoff } from '../refusal-backoff.ts';
import type { QueueStateMachine } from './state-machine.ts';

/** What the way back needs of the way in. */
export interface Inflow {
  /** Publications without jobs that ask after what Redis had confirmed before it went away. */
  markQueries(): Publication[];
  /** What has to be sent again, given the answer to such a query; empty when Redis knows everything. */
  forgotten(query: Publication, receipt: PublishReceipt): Publication[];
  /** Jobs of this process's numbering, refused by a Redis that has forgotten those before them. */
  ownPublication(topic: string, jobs: readonly PublishedJob[]): Publication;
  published(publication: Publication, receipt: PublishReceipt): void;
  /** While it holds back, new jobs wait in memory instead of prolonging the backlog. */
  holdBack(isHeld: boolean): void;
  linkFailed(failure: BackendFailure): void;
  /** There may be room, or nothing left to wait for. */
  tellProgress(): void;
  /** Appends to the journal that are under way; `undefined` when there are none. */
  spilling(): Promise<unknown> | undefined;
}

export interface RecoveryParts extends DrainParts {
  readonly machine: QueueStateMachine;
  readonly inflow: Inflow;
  readonly announcer: Emitter<QueueEvents>;
  readonly clock: Clock;
  readonly random: Random;
  /** Every job goes through the journal, also while Redis is there. */
  readonly isJournalFirst: boolean;
}

/**
 * The way back from the fallback to Redis: waits for the link, asks what Redis still knows, brings the
 * backlog over in order, and hands over to the direct way.
 */
export class Recovery {
  readonly #parts: RecoveryParts;
  readonly #closing = new AbortController();
  #running: Promise<void> | undefined;
  #forwarding: Promise<void> | undefined;
  /** Redis went away meanwhile: what it knows has to be asked again. */
  #isOutdated = false;

  constructor(parts: RecoveryParts) {
    this.#parts = parts;
  }

  /** As `start`; a recovery under way begins again, because Redis may have forgotten since. */
  restart(): void {
    this.#isOutdated = true;
    this.start();
  }

  /** Keeps at it until Redis takes jobs directly again; once at a time. */
  start(): void {
    if (this.#running !== undefined || this.#closing.signal.aborted) return;
    this.#running = this.#recover().finally(() => {
      this.#running = undefined;
      if (this.#parts.machine.state !== 'direct') this.start();
    });
  }

  /** Brings over what came into the backlog while the machine is direct; once at a time. */
  forward(): void {
    if (this.#forwarding !== undefined || this.#closing.signal.aborted) return;
    this.#forwarding = this.#forwardAll().finally(() => {
      this.#forwarding = undefined;
      const { machine, backlog } = this.#parts;
      if (machine.state === 'direct' && backlog.size > 0) this.forward();
    });
  }

  async close(): Promise<void> {
    this.#closing.abort(new BackendError('unreachable', 'the queue is closing'));
    await Promise.all([this.#running, this.#forwarding]);
  }

  async #forwardAll(): Promise<void> {
    const { machine, backlog, inflow } = this.#parts;
    try {
      while (machine.state === 'direct' && !this.#closing.signal.aborted) {
        const taken = await this.#drainOnce();
        if (taken === 0 && backlog.size === 0) return;
      }
    } catch (error) {
      if (!this.#closing.signal.aborted) inflow.linkFailed(failureOf(error));
    }
  }

  async #drainOnce(): Promise<number> {
    const { inflow } = this.#parts;
    const taken = await drainOnce(
      this.#parts,
      (topic, own) => inflow.ownPublication(topic, own),
      (publication, receipt) => inflow.published(publication, receipt),
    );
    inflow.tellProgress();
    return taken;
  }

  async #recover(): Promise<void> {
    const { backend, machine, inflow, clock, random } = this.#parts;
    const { signal } = this.#closing;
    const delays = refusalBackoff.delays(random);
    while (machine.state !== 'direct' && !signal.aborted) {
      try {
        await backend.whenConnected(signal);
        // Two that drain at once would send the same window twice; harmless, but not in order.
        await this.#forwarding;
        this.#isOutdated = false;
        await repeatInherited(this.#parts, (topic, own) => inflow.ownPublication(topic, own));
        for (const query of inflow.markQueries()) {
          const forgotten = inflow.forgotten(query, await backend.publish(query));
          for (const publication of forgotten) await publishKeeping(this.#parts, publication);
        }
        await this.#drain();
      } catch (error) {
        if (signal.aborted) return;
        machine.fail(failureOf(error));
        inflow.holdBack(false);
        await sleep(clock, delays.next().value, signal).catch(() => undefined);
      }
    }
  }

  /**
   * Brings the backlog over, window by window, and hands over. Only a window that Redis has taken makes the
   * machine `draining`: an attempt that is refused changes nothing.
   */
  async #drain(): Promise<void> {
    const { backlog, machine, inflow, announcer, clock, isJournalFirst } = this.#parts;
    const startedMs = clock.now();
    let jobs = 0;
    while (machine.state !== 'direct') {
      this.#closing.signal.throwIfAborted();
      if (this.#isOutdated) throw new BackendError('unreachable', 'Redis went away meanwhile');
      inflow.holdBack(machine.state === 'draining' && backlog.size < MAX_BATCH_JOBS);
      const taken = await this.#drainOnce();
      jobs += taken;
      // Where every job goes through the backlog, being nearly through is as good as it gets.
      const isLast = isJournalFirst && taken > 0 && backlog.size < MAX_BATCH_JOBS;
      const spilling = inflow.spilling();
      if (isLast && !this.#isOutdated) machine.move({ kind: 'backlog-drained' });
      else if (taken > 0) machine.move({ kind: 'batch-accepted' });
      else if (spilling !== undefined) await spilling;
      else if (backlog.size === 0 && !this.#isOutdated) machine.move({ kind: 'backlog-drained' });
    }
    inflow.holdBack(false);
    this.forward();
    if (jobs === 0) return;
    const atMs = clock.now();
    announcer.emit('drained', { jobs, tookMs: atMs - startedMs, atMs });
  }
}

/** Whatever ends a step towards Redis and is not the backend's own error needs somebody to look. */
export function failureOf(error: unknown): BackendFailure {
  return error instanceof BackendError ? error : { errorClass: 'denied', message: String(error) };
}
