import type {
  DeadLetter,
  Delivery,
  LastDeliveries,
  PeekedJob,
  PeekedKind,
  Publication,
  PublishReceipt,
  PublishedJob,
} from '../backend.ts';
import type { OperationOutcome } from '../control/control.ts';
import { BackendError } from '../errors.ts';
import { applyOperation } from './operations.ts';
import { jobOptionsOf } from '../producer/job-options.ts';
import { DebounceWindows } from './debounce-windows.ts';
import { WeightedRoundRobin, subqueueOf, isPartition, selectNext } from '../producer/scheduling.ts';

/** A job in memory, with its owner. */
interface Entry {
  readonly handle: string;
  readonly job: PublishedJob;
  readonly history: readonly string[] | undefined;
  deliveries: number;
  /** How many consumers in succession have died with it. */
  crashes: number;
  owner: string | undefined;
  leasedUntilMs: number;
}

/** A job that is not due yet. */
interface DelayedJob {
  /** Monotonic, as `leasedUntilMs`. */
  readonly dueAtMs: number;
  readonly job: PublishedJob;
  readonly history: readonly string[] | undefined;
  /** How often it was delivered before it was put aside. */
  readonly deliveries: number;
}

/** The last owner of a producer's journal. */
interface Owner {
  readonly epoch: number;
  readonly nonce: string | undefined;
}

interface HighWaterMark {
  readonly epoch: number;
  readonly sequence: number;
}

/** One topic in memory, by the same rules as the scripts of Redis. */
export class StoredTopic {
  readonly entries: Map<string, Entry> = new Map();
  delayed: DelayedJob[] = [];
  dead: DeadLetter[] = [];
  /** By producer. */
  readonly #owners = new Map<string, Owner>();
  /** By origin. */
  readonly #marks = new Map<string, HighWaterMark>();
  readonly #ids = new Set<string>();
  readonly #windows = new DebounceWindows();
  readonly #roundRobin = new WeightedRoundRobin();
  hasConsumer = false;
  /** No job is delivered. */
  isPaused = false;
  /** The handles of jobs that were cancelled while a consumer held them. */
  readonly cancelled: Set<string> = new Set();
  #partitions = 0;
  /** No job has had a routing yet. */
  #isPlain = true;
  #lastHandle = 0;

  /** It has had a job or a consumer. */
  get isUsed(): boolean {
    return (
      this.hasConsumer || this.#lastHandle > 0 || this.delayed.length > 0 || this.dead.length > 0
    );
  }

  get size(): number {
    return this.entries.size + this.delayed.length;
  }

  /** @throws BackendError (`fenced`; `busy` when jobs before these are missing) */
  publish(publication: Publication, nowMs: number): PublishReceipt {
    const { producer, ownerEpoch, ownerNonce, originEpoch, floor, previous, jobs } = publication;
    const owner = this.#owners.get(producer) ?? { epoch: 0, nonce: undefined };
    if (ownerEpoch < owner.epoch || (ownerEpoch === owner.epoch && ownerNonce !== owner.nonce)) {
      throw new BackendError('fenced', `owner ${owner.epoch} has taken over from ${ownerEpoch}`);
    }
    const origin = publication.originNonce ?? producer;
    const mark = this.#marks.get(origin) ?? { epoch: 0, sequence: 0 };
    this.#setPartitions(publication);
    const isPassed = originEpoch < mark.epoch;
    const remembered = originEpoch > mark.epoch ? 0 : mark.sequence;
    let sequence = isPassed ? remembered : Math.max(remembered, floor);
    if (!isPassed && sequence < previous) {
      throw new BackendError('busy', `this producer's jobs are known only up to ${sequence}`);
    }
    const receipt = { remembered, alreadyApplied: 0, duplicates: new Array<string>(), refused: 0 };
    const outcomes = new Map<number, OperationOutcome>();
    for (const job of jobs) {
      if (isPassed || job.sequence <= sequence) receipt.alreadyApplied += 1;
      else if (job.operation !== undefined && receipt.refused === 0) {
        outcomes.set(job.sequence, applyOperation(this, job, nowMs));
        sequence = job.sequence;
      } else if (this.size >= (publication.maxJobs ?? Infinity)) receipt.refused += 1;
      else {
        if (!this.#add(job, nowMs)) receipt.duplicates.push(job.id);
        sequence = job.sequence;
      }
    }
    if (isPassed) return receipt;
    this.#owners.set(producer, { epoch: ownerEpoch, nonce: ownerNonce });
    this.#marks.set(origin, { epoch: originEpoch, sequence });
    return outcomes.size === 0 ? receipt : { ...receipt, outcomes };
  }

  /** Moves due jobs to the waiting ones, the earliest first; returns when the next one is due. */
  promote(nowMs: number): number | undefined {
    const due = this.delayed.filter(({ dueAtMs }) => dueAtMs <= nowMs);
    if (due.length > 0) this.delayed = this.delayed.filter(({ dueAtMs }) => dueAtMs > nowMs);
    for (const { job, history, deliveries } of due.toSorted(byDueTime)) {
      this.append(job, history, deliveries);
    }
    return this.delayed.reduce<number | undefined>(
      (next, { dueAtMs }) => Math.min(next ?? dueAtMs, dueAtMs),
      undefined,
    );
  }

  append(job: PublishedJob, history?: readonly string[], deliveries = 0): void {
    this.#lastHandle += 1;
    const handle = String(this.#lastHandle);
    this.#isPlain &&= job.routing === undefined;
    const entry = { handle, job, history, deliveries, crashes: 0, owner: undefined };
    this.entries.set(handle, { ...entry, leasedUntilMs: 0 });
  }

  /** Delivers up to `max` waiting jobs. */
  take(owner: string, max: number, leasedUntilMs: number): Delivery[] {
    if (this.isPaused) return [];
    const subqueue = ({ job }: Entry): string => subqueueOf(job.routing, this.#partitions);
    const waiting: Entry[] = [];
    const busy = new Set<string>();
    for (const entry of this.entries.values()) {
      // Without levels and keys, the order of the entries is the order of delivery.
      if (this.#isPlain && waiting.length >= max) break;
      if (entry.owner === undefined) waiting.push(entry);
      else if (isPartition(subqueue(entry))) busy.add(subqueue(entry));
    }
    return selectNext(waiting, subqueue, busy, { roundRobin: this.#roundRobin, max }).map(
      (entry) => {
        entry.deliveries += 1;
        return deliver(entry, owner, leasedUntilMs);
      },
    );
  }

  /** Takes over orphaned jobs: the consumer's own that it does not hold, and those whose leases have expired. */
  takeOver(
    owner: string,
    held: ReadonlySet<string>,
    max: number,
    limits: {
      readonly mayTakeOver: boolean;
      readonly last: LastDeliveries | undefined;
      readonly nowMs: number;
      readonly leasedUntilMs: number;
    },
  ): Delivery[] {
    const { mayTakeOver, last, nowMs, leasedUntilMs } = limits;
    let maxLast = last?.max ?? 0;
    const taken: Delivery[] = [];
    for (const entry of this.entries.values()) {
      if (entry.owner === owner && held.has(entry.handle)) entry.leasedUntilMs = leasedUntilMs;
      const isUnheld = entry.owner === owner && !held.has(entry.handle);
      const isExpired =
        entry.owner !== undefined && entry.owner !== owner && entry.leasedUntilMs <= nowMs;
      if (this.isPaused || taken.length >= max) continue;
      if (!isUnheld && !(isExpired && mayTakeOver)) continue;
      if (this.cancelled.has(entry.handle)) {
        this.#delete(entry.handle);
        continue;
      }
      const isLast = isExpired && isLastDelivery(entry, last);
      if (isLast && maxLast <= 0) continue;
      if (isLast) maxLast -= 1;
      if (isExpired) {
        entry.deliveries += 1;
        entry.crashes += 1;
      }
      taken.push(deliver(entry, owner, leasedUntilMs));
    }
    return taken;
  }

  /** Puts a failed job aside until it is due; a job of a partition stays with its consumer. */
  retryLater(owner: string, { handle, deliveries }: Delivery, dueAtMs: number): boolean {
    const entry = this.entries.get(handle);
    if (entry?.owner !== owner) return true;
    if (isPartition(subqueueOf(entry.job.routing, this.#partitions))) {
      entry.deliveries = deliveries;
      entry.crashes = 0;
      return false;
    }
    const { job, history } = entry;
    const isCancelled = this.cancelled.has(handle);
    this.#delete(handle);
    if (!isCancelled) this.delayed.push({ dueAtMs, job, history, deliveries });
    return true;
  }

  /** Hands a job back, if it still belongs to the consumer; `deliveries` of it count as made. */
  release(owner: string, handle: string, deliveries: number): void {
    const entry = this.entries.get(handle);
    if (entry?.owner !== owner) return;
    if (this.cancelled.has(handle)) this.#delete(handle);
    entry.owner = undefined;
    entry.deliveries = deliveries;
  }

  /** Removes a job if it still belongs to the consumer; returns whether it did. */
  remove(owner: string, handle: string): boolean {
    return this.entries.get(handle)?.owner === owner && this.#delete(handle);
  }

  #delete(handle: string): boolean {
    this.cancelled.delete(handle);
    return this.entries.delete(handle);
  }

  /** Removes the jobs that no consumer holds; returns their number. */
  removeWaiting(alsoDelayed: boolean): number {
    const before = this.size;
    if (alsoDelayed) this.delayed = [];
    for (const { handle, owner } of this.entries.values()) {
      if (owner === undefined) this.#delete(handle);
    }
    return before - this.size;
  }

  /** @param epochOffsetMs how much the wall clock is ahead of the monotonic one. */
  peek(kind: PeekedKind, epochOffsetMs: number): PeekedJob[] {
    if (kind === 'delayed') {
      return this.delayed.toSorted(byDueTime).map(({ job, dueAtMs, deliveries }) =>
        toPeekedJob(job, {
          dueAtMs: Math.round(dueAtMs + epochOffsetMs),
          deliveries,
        }),
      );
    }
    return [...this.entries.values()]
      .filter(({ owner }) => (owner !== undefined) === (kind === 'pending'))
      .map(({ job, deliveries }) => toPeekedJob(job, { deliveries }));
  }

  #setPartitions({ partitions = 0, jobs }: Publication): void {
    if (partitions === 0 || partitions === this.#partitions) return;
    if (jobs.every(({ routing }) => routing === undefined)) return;
    const isRouted = ({ job }: Entry): boolean =>
      isPartition(subqueueOf(job.routing, this.#partitions));
    if ([...this.entries.values()].some(isRouted)) {
      const message = `the topic has ${this.#partitions} partitions with jobs in them, not ${partitions}`;
      throw new BackendError('denied', message);
    }
    this.#partitions = partitions;
  }

  #add(job: PublishedJob, nowMs: number): boolean {
    if (job.unique && this.#ids.has(job.id)) return false;
    const former = this.#windows.enter(job);
    if (former === 'dropped') return false;
    if (former !== undefined) this.delayed = this.delayed.filter((one) => one.job !== former);
    if (job.unique) this.#ids.add(job.id);
    const { delayMs } = job;
    if (delayMs === undefined) this.append(job);
    else this.delayed.push({ dueAtMs: nowMs + delayMs, job, history: undefined, deliveries: 0 });
    return true;
  }
}

/** Whether the delivery of a job that a consumer died with would be its last one. */
function isLastDelivery(
  { deliveries, crashes, job }: Entry,
  last: LastDeliveries | undefined,
): boolean {
  if (last === undefined) return false;
  if (last.isOfCrashes === true) return crashes + 2 === last.delivery;
  return deliveries + 1 === (jobOptionsOf(job.attributes).maxAttempts ?? last.delivery);
}

function byDueTime(one: DelayedJob, other: DelayedJob): number {
  return one.dueAtMs - other.dueAtMs;
}

function toPeekedJob(
  { id, payload, enqueuedAtMs, routing, attributes }: PublishedJob,
  more: Partial<PeekedJob>,
): PeekedJob {
  const job = { id, payload, enqueuedAtMs, deliveries: 0 };
  return {
    ...job,
    ...(routing !== undefined && { routing }),
    ...(attributes !== undefined && { attributes }),
    ...more,
  };
}

function deliver(entry: Entry, owner: string, leasedUntilMs: number): Delivery {
  entry.owner = owner;
  entry.leasedUntilMs = leasedUntilMs;
  const { handle, deliveries, history, crashes } = entry;
  const { id, payload, enqueuedAtMs, routing, attributes, expiresInMs } = entry.job;
  return {
    handle,
    id,
    payload,
    enqueuedAtMs,
    deliveries,
    ...(routing !== undefined && { routing }),
    ...(attributes !== undefined && { attributes }),
    ...(expiresInMs !== undefined && { expiresInMs }),
    ...(history && { history }),
    ...(crashes > 0 && { crashes }),
  };
}
