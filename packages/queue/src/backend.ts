/**
 * What a store of jobs has to offer so that the adapter can stand on it: order, deduplication by
 * (owner epoch, origin epoch, sequence), leases, and errors sorted into what can be done about them.
 */
export interface QueueBackend {
  /** What a job is said to be accepted by. */
  readonly kind: 'redis' | 'memory';
  /** Starts reaching for the server and keeps at it until closed; reports to `listener`. */
  open(listener: ConnectionListener): void;
  /** Resolves once the server can be asked; rejects with the signal's own reason. */
  whenConnected(signal: AbortSignal): Promise<void>;
  /**
   * Adds the jobs of one topic in order, skipping those the store has already, in one atomic step.
   * @throws BackendError; `busy` when the store does not know of `previous`
   */
  publish(publication: Publication): Promise<PublishReceipt>;
  /**
   * Reaches for one topic as a consumer.
   * @param leaseMs how long a delivery belongs to a silent consumer.
   */
  subscribe(topic: string, leaseMs: number): Subscription;
  /** The topic's dead letters, the oldest first. @throws BackendError */
  deadLetters(topic: string, limit: number): Promise<DeadLetter[]>;
  /**
   * Makes dead letters jobs again, the oldest first, with their ids and what became of them so far.
   * @param ids only these, or all.
   * @returns how many it were.
   * @throws BackendError
   */
  redrive(topic: string, limit: number, ids?: readonly string[]): Promise<number>;
  /** How many of a topic's jobs are where. @throws BackendError */
  count(topic: string): Promise<TopicCounts>;
  /** Some of the topic's jobs of one kind, the oldest first as far as the store knows. @throws BackendError */
  peek(topic: string, kind: PeekedKind, limit: number): Promise<PeekedJob[]>;
  close(): Promise<void>;
}

/** Which jobs of a topic are looked at. */
export type PeekedKind = 'waiting' | 'pending' | 'delayed';

export interface TopicCounts {
  /** Nobody has taken them yet. */
  readonly waiting: number;
  /** With a consumer. */
  readonly pending: number;
  readonly delayed: number;
  /** Dead letters. */
  readonly dead: number;
}

/** A job as it stands in the store. */
export interface PeekedJob {
  readonly id: string;
  /** JSON. */
  readonly payload: string;
  readonly enqueuedAtMs: number;
  readonly deliveries: number;
  readonly dueAtMs?: number;
  readonly routing?: string;
}

/** What can be done about a failure of the store. */
export type ErrorClass =
  /** The server will take it later (LOADING, OOM, MISCONF, ...): wait. */
  | 'busy'
  /** Nobody answered, or the wrong one did (deadline, closed, READONLY, ...): connect anew. */
  | 'unreachable'
  /** Somebody has to act (NOAUTH, NOPERM, an unknown refusal): keep everything and raise an alarm. */
  | 'denied'
  /** The server cannot do what the queue needs (too old): nothing is accepted for it. */
  | 'unsupported'
  /** Another process has taken over this producer's journal: this one must not send any more. */
  | 'fenced';

/** Hears how the link to the store fares. */
export interface ConnectionListener {
  connected(event: { attempt: number }): void;
  attemptFailed(event: { attempt: number; delayMs: number; error: BackendFailure }): void;
  disconnected(event: { error: BackendFailure }): void;
}

/** A sorted failure: what can be done about it, and what was seen. */
export interface BackendFailure {
  readonly errorClass: ErrorClass;
  readonly message: string;
}

export interface Publication {
  readonly topic: string;
  /** Who sends: the journal's own identity, the same over restarts. */
  readonly producer: string;
  /** The sending process's place in the line of the journal's owners; an older owner is refused. */
  readonly ownerEpoch: number;
  /** The owner whose numbering the jobs carry: an earlier one's when its backlog is drained. */
  readonly originEpoch: number;
  /** Everything up to here is settled and cannot be sent again; the store's mark is raised to it. */
  readonly floor: number;
  /** How many jobs the topic may hold: those that find so many are refused. Absent: any number. */
  readonly maxJobs?: number | undefined;
  /**
   * In how many parts the jobs of a key are kept in order. While jobs with keys are there, another number is
   * refused as `denied`. Absent: as many as the store knows of.
   */
  readonly partitions?: number | undefined;
  /** The store must know jobs up to here, or it has forgotten some that have to come first. */
  readonly previous: number;
  readonly jobs: readonly PublishedJob[];
}

export interface PublishedJob {
  /** The job's place among the producer's jobs of this topic and origin epoch; rising, gaps allowed. */
  readonly sequence: number;
  readonly id: string;
  /** The caller chose the id: later jobs with it are skipped. */
  readonly unique: boolean;
  readonly enqueuedAtMs: number;
  /** Not handed out before; in milliseconds since the Unix epoch, 0 for at once. */
  readonly dueAtMs: number;
  /** Where it belongs within the topic; see `place.ts`. */
  readonly routing?: string | undefined;
  /** JSON. */
  readonly payload: string;
}

export interface PublishReceipt {
  /** The highest sequence of this origin epoch the store knew before; below `floor` it has forgotten. */
  readonly remembered: number;
  /** How many jobs were skipped because their sequence was known. */
  readonly alreadyApplied: number;
  /** Ids skipped because the caller's id was known. */
  readonly duplicates: readonly string[];
  /** How many jobs, the last ones, were not added because the topic holds as many as it may. */
  readonly refused: number;
  /**
   * The first job the store refuses for what it is, while the topic itself is in order: those before it were
   * added, and those behind it not tried.
   */
  readonly poison?: { readonly sequence: number; readonly reason: string };
}

/** One consumer's view of a topic. */
export interface Subscription {
  /** Resolves once the server can be asked; rejects with the signal's own reason. */
  whenConnected(signal: AbortSignal): Promise<void>;
  /**
   * Waits, for well under a second, for up to `max` new jobs; an empty list when there were none. Of the jobs
   * whose keys share a partition one is handed out, the oldest, and the next when that one is gone.
   */
  fetch(max: number): Promise<Delivery[]>;
  /**
   * Renews the leases of the deliveries in `held`, and takes over what nobody alive works on: deliveries
   * that never reached this consumer, and those of silent ones.
   */
  recover(held: readonly string[], max: number): Promise<RecoveredDeliveries>;
  /** Removes handled jobs; those of another consumer by now are left alone. */
  acknowledge(deliveries: readonly string[]): Promise<void>;
  /** Moves a job that failed for good to the dead letters, in one atomic step. */
  deadLetter(delivery: Delivery, reason: string): Promise<void>;
  close(): Promise<void>;
}

/** A job that failed for good. */
export interface DeadLetter {
  readonly id: string;
  /** JSON. */
  readonly payload: string;
  readonly enqueuedAtMs: number;
  readonly deliveries: number;
  readonly routing?: string;
  readonly reason: string;
  /** Why it had failed before, where it was redriven since; the oldest first. */
  readonly history: readonly string[];
}

export interface Delivery {
  /** Names this delivery to the store. */
  readonly handle: string;
  readonly id: string;
  /** How often the store has handed it out, this time included. */
  readonly deliveries: number;
  readonly enqueuedAtMs: number;
  readonly payload: string;
  readonly routing?: string;
  /** Why it was a dead letter before; absent where it never was. */
  readonly history?: readonly string[];
}

export interface RecoveredDeliveries {
  readonly deliveries: readonly Delivery[];
  /** Handles of `held` that are another consumer's now. */
  readonly lost: readonly string[];
}
