import type { OperationOutcome } from './control/control.ts';
import type { OperationKind } from './control/operation.ts';
import type { KeptOutcome, OutcomeStore } from './outcomes/outcome-store.ts';
import type { LimitStore } from './limits/limit-store.ts';
import type { ScheduleStore } from './schedules/schedule-store.ts';

/**
 * The port to a store of jobs. A store keeps jobs in order, deduplicates them by (owner epoch, origin epoch, sequence),
 * grants leases, and classifies its errors by what can be done about them.
 */
export interface QueueBackend {
  /** The value of `accepted` for jobs in this store. */
  readonly kind: 'redis' | 'memory';
  /**
   * Names the store, the same for every backend of this process that reaches it. Consumers of one store remember
   * together which jobs were handled. Absent: no other backend reaches it.
   */
  readonly identity?: string;
  /** Keeps the outcomes and the progress of jobs. Absent: the store keeps none. */
  readonly outcomes?: OutcomeStore;
  /** What processes share of their schedules. Absent: the store keeps none. */
  readonly schedules?: ScheduleStore;
  /** `publish` merges jobs by `debounce`. Absent: it does not. */
  readonly debounces?: true;
  /** Grants the limits that consumers share. Absent: the store has none. */
  readonly limits?: LimitStore;
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
   * @param onFailure called when a connection of this consumer alone cannot be made.
   */
  subscribe(
    topic: string,
    leaseMs: number,
    onFailure?: (failure: BackendFailure) => void,
  ): Subscription;
  /** The queue has not used the topic for a while: what the store holds for it besides jobs may be removed. */
  forgetTopic?(topic: string): void;
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
  /** The operations that `publish` applies, in the order of the jobs; absent: none. */
  readonly operations?: readonly OperationKind[];
  /** Whether the topic is paused. @throws BackendError */
  isPaused?(topic: string): Promise<boolean>;
  /**
   * Removes jobs that wait, in small steps: each step ends soon, and says where the next one begins.
   * @param after what the step before has returned as `next`.
   * @param delayed removes delayed jobs as well.
   * @throws BackendError
   */
  removeWaiting?(
    topic: string,
    delayed: boolean,
    after: RemovalPosition | undefined,
  ): Promise<RemovalStep>;
  close(): Promise<void>;
}

/** Where the next step of a removal begins, as the store itself has written it. */
export type RemovalPosition = readonly (string | number)[];

/** What one step has removed. */
export interface RemovalStep {
  readonly removed: number;
  /** Absent at the end. */
  readonly next?: RemovalPosition;
}

/** The kinds of jobs that can be listed. */
export type PeekedKind = 'waiting' | 'pending' | 'delayed';

/** How many jobs of a topic a store has, by what they wait for. */
export interface TopicCounts {
  /** Not delivered yet. */
  readonly waiting: number;
  /** Delivered to a consumer. */
  readonly pending: number;
  readonly delayed: number;
  /** Dead letters. */
  readonly dead: number;
  /** The topic is paused; absent otherwise. */
  readonly paused?: true;
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
  readonly attributes?: string;
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
  /**
   * What the server does when its memory is full, by its own name for it; called when it is another policy than
   * before. Only `noeviction` keeps what is stored.
   */
  evictionPolicy?(event: { policy: string }): void;
}

/** A classified failure, with its message. */
export interface BackendFailure {
  readonly errorClass: ErrorClass;
  readonly message: string;
}

/** A batch of jobs of one topic from one producer, as a backend stores it: whole, in order, or not at all. */
export interface Publication {
  readonly topic: string;
  /** The identity of the producer's journal, which survives restarts. */
  readonly producer: string;
  /** The epoch of the sending process as the owner of the journal; an older owner is fenced. */
  readonly ownerEpoch: number;
  /**
   * A random value of the sending process as the owner of the journal. An owner of the same epoch with another nonce
   * is another copy of the journal's directory: the later one is rejected as `fenced`. Absent: the same owner.
   */
  readonly ownerNonce?: string | undefined;
  /** The epoch of the owner that numbered the jobs: an earlier one when its backlog is drained. */
  readonly originEpoch: number;
  /**
   * The nonce of the owner that numbered the jobs. The store keeps a high-water mark for each, because copies of a
   * directory may use an epoch twice. Absent for jobs of releases that had none: the mark is the producer's.
   */
  readonly originNonce?: string | undefined;
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

/** A window in which jobs of one key are merged; see `DebounceOptions`. */
export interface Debounce {
  readonly key: string;
  readonly windowMs: number;
  readonly mode: 'first' | 'replace';
}

/** A job within a publication. */
export interface PublishedJob {
  /** The number of the job among the producer's jobs of this topic and origin epoch; rising, gaps allowed. */
  readonly sequence: number;
  readonly id: string;
  /** The caller chose the id: later jobs with the same id are skipped. */
  readonly unique: boolean;
  readonly enqueuedAtMs: number;
  /** The earliest time of delivery, by the producer's wall clock at that time, as `enqueuedAtMs`; 0 for no delay. */
  readonly dueAtMs: number;
  /** What is left of the delay when the job is sent, negative once it is due; the store adds it to its own time. */
  readonly delayMs?: number;
  /** The priority level or the key's hash; see `producer/scheduling.ts`. */
  readonly routing?: string | undefined;
  /**
   * What travels with the job besides, as `name:value` parts separated by semicolons, without spaces or control
   * characters. Stores keep it as it is; see `producer/job-options.ts`. Absent: nothing.
   */
  readonly attributes?: string | undefined;
  /**
   * It is no job, but an operation on the topic: the store applies it, in its place among the jobs and once, by its
   * sequence. The id of the job that it concerns is its payload.
   */
  readonly operation?: OperationKind | undefined;
  /** From `enqueuedAtMs`: an older job is dropped by its consumer. */
  readonly expiresInMs?: number | undefined;
  /** Among the jobs of this key: see `DebounceOptions`. Not with `unique`. */
  readonly debounce?: Debounce | undefined;
  /** JSON. */
  readonly payload: string;
}

/** What a store tells of a publication that it has taken. */
export interface PublishReceipt {
  /** The store's high-water mark for this origin epoch before; below `floor`, it has lost jobs. */
  readonly remembered: number;
  /** The number of jobs skipped because the store had them already. */
  readonly alreadyApplied: number;
  /** The ids of jobs skipped because the store knew the caller's id, or a job of the same window. */
  readonly duplicates: readonly string[];
  /** The number of jobs at the end that were not added because of `maxJobs`. */
  readonly refused: number;
  /** What became of the operations that were applied, by their sequences. Absent: there were none. */
  readonly outcomes?: ReadonlyMap<number, OperationOutcome>;
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
   * Waits for up to `max` new jobs; returns an empty list when there are none. Delivers the jobs of a partition one at
   * a time, the oldest first. May return fewer than there are, so that no reply is too large.
   * @param waitMs the longest wait, default 250.
   * @param signal ends the wait.
   */
  fetch(max: number, waitMs?: number, signal?: AbortSignal): Promise<Delivery[]>;
  /**
   * Renews the leases of the deliveries in `held`, and takes over orphaned jobs: deliveries that never reached this
   * consumer, those that were handed back, and those of consumers that have not renewed their leases. The last ones
   * were delivered once more than before, whether or not a handler has seen them.
   * @param mayTakeOver false leaves the jobs of other consumers, default true: after an outage, leases have expired
   *   that nobody could renew.
   * @param last limits which jobs are taken over for their last delivery; default all.
   */
  recover(
    held: readonly string[],
    max: number,
    mayTakeOver?: boolean,
    last?: LastDeliveries,
  ): Promise<RecoveredDeliveries>;
  /**
   * Removes handled jobs; ignores those whose leases went to another consumer.
   * @param outcomes what is kept of each of them, by their handles, in the step that removes it. Absent: nothing.
   */
  acknowledge(
    deliveries: readonly string[],
    outcomes?: ReadonlyMap<string, KeptOutcome>,
  ): Promise<void>;
  /**
   * Moves a failed job to the dead letters, in one atomic step.
   * @param kept what is kept of how it ended. Absent: nothing.
   */
  deadLetter(delivery: Delivery, reason: string, stack?: string, kept?: KeptOutcome): Promise<void>;
  /**
   * Puts a failed job aside until it is due again: `delayed`. A job of a partition is `kept` by this consumer instead,
   * because the partition waits with it. In both cases the next delivery counts `delivery.deliveries` as made. Without
   * this method, every failed job is kept.
   */
  retryLater?(delivery: Delivery, delayMs: number): Promise<'delayed' | 'kept'>;
  /**
   * Hands jobs back: the next consumer gets them at once, and `deliveries` of them count as made. Without this method,
   * their leases expire.
   */
  release?(jobs: readonly Pick<Delivery, 'handle' | 'deliveries'>[]): Promise<void>;
  /**
   * What operations have done to the topic; asked often while jobs are `held`. Without this method, the store knows no
   * operation that concerns those.
   */
  control?(held: readonly string[]): Promise<TopicControl>;
  /** @param held deliveries whose handlers still run: their leases expire. Other jobs are handed back. */
  close(held?: readonly string[]): Promise<void>;
}

/** What operations have done to a topic that concerns its consumers. */
export interface TopicControl {
  readonly isPaused: boolean;
  /** The handles of jobs that were cancelled while a consumer held them, and are not acknowledged yet. */
  readonly cancelled: readonly string[];
}

/** A job that processes died with may be what they died of: it is taken over alone for its last delivery. */
export interface LastDeliveries {
  /** The number of the delivery that is the last one; a job's own attribute `attempts` precedes it. */
  readonly delivery: number;
  /** It is the number of crashes in succession after which there is none instead. Default false. */
  readonly isOfCrashes?: boolean;
  /** The most jobs that are taken over for it. */
  readonly max: number;
}

/** A job whose attempts are used up. */
export interface DeadLetter {
  readonly id: string;
  /** JSON. */
  readonly payload: string;
  readonly enqueuedAtMs: number;
  readonly deliveries: number;
  readonly routing?: string;
  readonly attributes?: string;
  readonly expiresInMs?: number;
  readonly reason: string;
  /** The stack of the error, without its message. */
  readonly stack?: string;
  /** The reasons of earlier failures, before it was redriven; the oldest first. */
  readonly history: readonly string[];
}

/** A job that a store has leased to a consumer. */
export interface Delivery {
  /** The store's identifier of this delivery. */
  readonly handle: string;
  readonly id: string;
  /** The number of deliveries, including this one. */
  readonly deliveries: number;
  readonly enqueuedAtMs: number;
  readonly payload: string;
  readonly routing?: string;
  readonly attributes?: string;
  readonly expiresInMs?: number;
  /** The reasons of earlier failures, before it was redriven; absent when there are none. */
  readonly history?: readonly string[];
  /**
   * How many consumers in succession have died with the job, since it was added or a handler failed. Absent: none, or
   * the store does not count them.
   */
  readonly crashes?: number;
  /** A consumer died with the job, and the store delivers such jobs by `fetch`. Absent otherwise. */
  readonly isRecovered?: true;
}

/** What a consumer gets when it asks again for the deliveries whose handlers it still runs. */
export interface RecoveredDeliveries {
  readonly deliveries: readonly Delivery[];
  /** The handles in `held` whose leases went to another consumer. */
  readonly lost: readonly string[];
  /** The handles in `held` that have no job any more: another consumer has handled it, or the store has lost it. */
  readonly gone?: readonly string[];
  /** There are more jobs to recover. */
  readonly isPartial?: true;
}
