/**
 * The port to a store of jobs. A store keeps jobs in order, deduplicates them by (owner epoch, origin epoch, sequence),
 * grants leases, and classifies its errors by what can be done about them.
 */
export interface QueueBackend {
  /** The value of `accepted` for jobs in this store. */
  readonly kind: 'redis' | 'memory';
  /** Connects to the server, and reconnects until closed; reports to `listener`. */
  open(listener: ConnectionListener): void;
  /** Resolves once connected; rejects with the signal's own reason. */
  whenConnected(signal: AbortSignal): Promise<void>;
  /**
   * Adds the jobs of one topic in order, in one atomic step, and skips those that the store has already.
   * @throws BackendError; `busy` when the store does not have the jobs up to `previous`
   */
  publish(publication: Publication): Promise<PublishReceipt>;
  /**
   * Subscribes one consumer to a topic.
   * @param leaseMs how long a delivery belongs to a consumer that does not renew it.
   */
  subscribe(topic: string, leaseMs: number): Subscription;
  /** The topic's dead letters, the oldest first. @throws BackendError */
  deadLetters(topic: string, limit: number): Promise<DeadLetter[]>;
  /**
   * Makes dead letters jobs again, the oldest first, with their ids and histories.
   * @param ids only these; default all.
   * @returns their number.
   * @throws BackendError
   */
  redrive(topic: string, limit: number, ids?: readonly string[]): Promise<number>;
  /** Counts the jobs of a topic by their state. @throws BackendError */
  count(topic: string): Promise<TopicCounts>;
  /** Lists some of the topic's jobs of one kind, the oldest first as far as the store knows. @throws BackendError */
  peek(topic: string, kind: PeekedKind, limit: number): Promise<PeekedJob[]>;
  close(): Promise<void>;
}

/** The kinds of jobs that can be listed. */
export type PeekedKind = 'waiting' | 'pending' | 'delayed';

export interface TopicCounts {
  /** Not delivered yet. */
  readonly waiting: number;
  /** Delivered to a consumer. */
  readonly pending: number;
  readonly delayed: number;
  /** Dead letters. */
  readonly dead: number;
}

/** A listed job. */
export interface PeekedJob {
  readonly id: string;
  /** JSON. */
  readonly payload: string;
  readonly enqueuedAtMs: number;
  readonly deliveries: number;
  readonly dueAtMs?: number;
  readonly routing?: string;
}

/** The classes of failures, by what can be done about them. */
export type ErrorClass =
  /** The server will accept the request later (LOADING, OOM, MISCONF, ...): wait. */
  | 'busy'
  /** No server answered, or the wrong one did (deadline, closed, READONLY, ...): reconnect. */
  | 'unreachable'
  /** An operator has to act (NOAUTH, NOPERM, an unknown error): keep all jobs and raise an alarm. */
  | 'denied'
  /** The server lacks a feature that the queue needs (too old): accept nothing. */
  | 'unsupported'
  /** Another process has taken over this producer's journal: this one must not send any more. */
  | 'fenced';

/** Receives the events of the connection to the store. */
export interface ConnectionListener {
  connected(event: { attempt: number }): void;
  attemptFailed(event: { attempt: number; delayMs: number; error: BackendFailure }): void;
  disconnected(event: { error: BackendFailure }): void;
}

/** A classified failure, with its message. */
export interface BackendFailure {
  readonly errorClass: ErrorClass;
  readonly message: string;
}

export interface Publication {
  readonly topic: string;
  /** The identity of the producer's journal, which survives restarts. */
  readonly producer: string;
  /** The epoch of the sending process as the owner of the journal; an older owner is fenced. */
  readonly ownerEpoch: number;
  /** The epoch of the owner that numbered the jobs: an earlier one when its backlog is drained. */
  readonly originEpoch: number;
  /** Jobs up to this sequence are settled and never sent again; the store raises its high-water mark to it. */
  readonly floor: number;
  /** The most jobs the topic may hold; the jobs beyond it are refused. Absent: no limit. */
  readonly maxJobs?: number | undefined;
  /**
   * The number of partitions for jobs with keys. While the topic has jobs with keys, another number is rejected as
   * `denied`. Absent: the number that the store knows.
   */
  readonly partitions?: number | undefined;
  /** The store must have the jobs up to this sequence; otherwise it has lost some that precede these. */
  readonly previous: number;
  readonly jobs: readonly PublishedJob[];
}

export interface PublishedJob {
  /** The number of the job among the producer's jobs of this topic and origin epoch; rising, gaps allowed. */
  readonly sequence: number;
  readonly id: string;
  /** The caller chose the id: later jobs with the same id are skipped. */
  readonly unique: boolean;
  readonly enqueuedAtMs: number;
  /** The earliest time of delivery, in milliseconds since the Unix epoch; 0 for no delay. */
  readonly dueAtMs: number;
  /** The priority level or the key's hash; see `producer/scheduling.ts`. */
  readonly routing?: string | undefined;
  /** JSON. */
  readonly payload: string;
}

export interface PublishReceipt {
  /** The store's high-water mark for this origin epoch before; below `floor`, it has lost jobs. */
  readonly remembered: number;
  /** The number of jobs skipped because the store had them already. */
  readonly alreadyApplied: number;
  /** The ids of jobs skipped because the store knew the caller's id. */
  readonly duplicates: readonly string[];
  /** The number of jobs at the end that were not added because of `maxJobs`. */
  readonly refused: number;
  /**
   * The first poison job: the store rejects this job, but not the topic. The jobs before it were added; those behind
   * it were not tried.
   */
  readonly poison?: { readonly sequence: number; readonly reason: string };
}

/** The subscription of one consumer to a topic. */
export interface Subscription {
  /** Resolves once connected; rejects with the signal's own reason. */
  whenConnected(signal: AbortSignal): Promise<void>;
  /**
   * Waits, for well under a second, for up to `max` new jobs; returns an empty list when there are none. Delivers the
   * jobs of a partition one at a time, the oldest first.
   */
  fetch(max: number): Promise<Delivery[]>;
  /**
   * Renews the leases of the deliveries in `held`, and takes over orphaned jobs: deliveries that never reached this
   * consumer, and those of consumers that have not renewed their leases.
   */
  recover(held: readonly string[], max: number): Promise<RecoveredDeliveries>;
  /** Removes handled jobs; ignores those whose leases went to another consumer. */
  acknowledge(deliveries: readonly string[]): Promise<void>;
  /** Moves a failed job to the dead letters, in one atomic step. */
  deadLetter(delivery: Delivery, reason: string): Promise<void>;
  close(): Promise<void>;
}

/** A job whose attempts are used up. */
export interface DeadLetter {
  readonly id: string;
  /** JSON. */
  readonly payload: string;
  readonly enqueuedAtMs: number;
  readonly deliveries: number;
  readonly routing?: string;
  readonly reason: string;
  /** The reasons of earlier failures, before it was redriven; the oldest first. */
  readonly history: readonly string[];
}

export interface Delivery {
  /** The store's identifier of this delivery. */
  readonly handle: string;
  readonly id: string;
  /** The number of deliveries, including this one. */
  readonly deliveries: number;
  readonly enqueuedAtMs: number;
  readonly payload: string;
  readonly routing?: string;
  /** The reasons of earlier failures, before it was redriven; absent when there are none. */
  readonly history?: readonly string[];
}

export interface RecoveredDeliveries {
  readonly deliveries: readonly Delivery[];
  /** The handles in `held` whose leases went to another consumer. */
  readonly lost: readonly string[];
}
