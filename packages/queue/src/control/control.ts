/**
 * Operations on the topics and jobs of a queue. `pause`, `resume`, `cancel`, `reschedule` and `promote` are accepted
 * as jobs are: by Redis, or by the fallback while Redis is away; in the order of the calls that concern the topic,
 * `enqueue` included; and each is applied once. `outcome` is `pending` where only the fallback has the operation yet: the
 * event `operation-applied` tells what became of it. The others need Redis, and reject with BackendError while it is away.
 */
export interface QueueControl {
  /**
   * Pauses a topic for all consumers of all processes, until `resume`: handlers that run end, no further job is taken,
   * and jobs are accepted as before. A consumer may still start the few jobs that it has fetched ahead. Survives
   * restarts of consumers, producers and, as far as it keeps what it has, of Redis.
   * @throws InvalidOptionError, OperationUnsupportedError, and as `enqueue`
   */
  pause(topic: string, options?: OperationOptions): Promise<Controlled<PauseOutcome>>;
  /** Ends the pause of a topic. @throws as `pause` */
  resume(topic: string, options?: OperationOptions): Promise<Controlled<ResumeOutcome>>;
  /** Whether Redis has the topic as paused. @throws BackendError while it is away; OperationUnsupportedError */
  isPaused(topic: string): Promise<boolean>;
  /**
   * Removes a waiting or delayed job, or aborts the signal of the handler that runs it, on whichever process, within a
   * second; the job does not run again. Its id stays known for `jobIdTtlMs`.
   * @param id the id of the job, which `enqueue` has returned.
   * @throws as `pause`
   */
  cancel(topic: string, id: string, options?: OperationOptions): Promise<Controlled<CancelOutcome>>;
  /**
   * Makes a waiting or delayed job due in `delayMs` from the call on.
   * @throws as `pause`
   */
  reschedule(
    topic: string,
    id: string,
    options: RescheduleOptions,
  ): Promise<Controlled<RescheduleOutcome>>;
  /** Makes a delayed job due now, behind the jobs that wait already. @throws as `pause` */
  promote(
    topic: string,
    id: string,
    options?: OperationOptions,
  ): Promise<Controlled<PromoteOutcome>>;
  /**
   * Removes the jobs that wait and those that are delayed, failed ones before their next attempt included. Jobs that are
   * added meanwhile, run, or are in the fallback stay, as do dead letters. Takes many small steps.
   * @returns the number of removed jobs.
   * @throws BackendError; PurgeInterruptedError when some were removed before; the signal's own reason
   */
  purge(topic: string, options?: OperationOptions): Promise<number>;
  /** The same, but keeps delayed jobs unless asked to remove them, as BullMQ does. @throws as `purge` */
  drain(topic: string, options?: DrainTopicOptions): Promise<number>;
}

/** Options of one operation. */
export interface OperationOptions {
  /** Stops waiting; an operation that was sent already may still be applied. */
  signal?: AbortSignal;
}

/** Options of `reschedule`. */
export interface RescheduleOptions extends OperationOptions {
  /** From the call on, in milliseconds, by the clock of Redis. */
  delayMs: number;
}

/** Options of `drain`. */
export interface DrainTopicOptions extends OperationOptions {
  /** Removes delayed jobs as well. Default false. */
  delayed?: boolean;
}

/** What an operation resolves with: it is accepted, by whom, and what became of it. */
export interface Controlled<Outcome extends string> {
  readonly operationId: string;
  /** As of a job. */
  readonly accepted: 'redis' | 'journal' | 'memory';
  /**
   * `pending`: the fallback has the operation. `unknown`: Redis had applied it before, and the reply that told what became
   * of it was lost.
   */
  readonly outcome: Outcome | 'pending' | 'unknown';
}

/** `unknown-topic`: it has had neither a job nor a consumer lately; nothing was changed. */
export type PauseOutcome = 'paused' | 'already-paused' | 'unknown-topic';

/** What became of a `resume`. */
export type ResumeOutcome = 'resumed' | 'not-paused';

/**
 * `aborting`: a consumer holds the job, whose signal is aborted. `not-found`: the topic has no such job: it was handled,
 * buried or removed, or never existed. Nothing was changed then.
 */
export type CancelOutcome = 'removed' | 'aborting' | 'not-found';

/** `running`: a consumer holds the job; nothing was changed. `not-found` as with `cancel`. */
export type RescheduleOutcome = 'rescheduled' | 'running' | 'not-found';

/** `waiting`: the job is not delayed; nothing was changed. The others as with `reschedule`. */
export type PromoteOutcome = 'promoted' | 'waiting' | 'running' | 'not-found';

/** What becomes of an operation that a store applies. */
export type OperationOutcome =
  | PauseOutcome
  | ResumeOutcome
  | CancelOutcome
  | RescheduleOutcome
  | PromoteOutcome;
