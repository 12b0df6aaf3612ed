import type {
  DeadLetter,
  Delivery,
  PeekedJob,
  PeekedKind,
  Publication,
  PublishReceipt,
  PublishedJob,
} from '../backend.ts';
import { BackendError } from '../errors.ts';
import { WeightedRoundRobin, subqueueOf, isPartition, selectNext } from '../producer/scheduling.ts';

/** A job in memory, with its owner. */
interface Entry {
  readonly handle: string;
  readonly job: PublishedJob;
  readonly history: readonly string[] | undefined;
  deliveries: number;
  owner: string | undefined;
  leasedUntilMs: number;
}

interface HighWaterMark {
  readonly owner: number;
  readonly epoch: number;
  readonly sequence: number;
}

/** One topic in memory, by the same rules as the scripts of Redis. */
export class StoredTopic {
  readonly entries: Map<string, Entry> = new Map();
  delayed: PublishedJob[] = [];
  dead: DeadLetter[] = [];
  readonly #marks = new Map<string, HighWaterMark>();
  readonly #ids = new Set<string>();
  readonly #roundRobin = new WeightedRoundRobin();
  #partitions = 0;
  /** No job has had a routing yet. */
  #isPlain = true;
  #lastHandle = 0;

  get size(): number {
    return this.entries.size + this.delayed.length;
  }

  /** @throws BackendError (`fenced`; `busy` when jobs before these are missing) */
  publish(publication: Publication): PublishReceipt {
    const { producer, ownerEpoch, originEpoch, floor, previous, jobs } = publication;
    const mark = this.#marks.get(producer) ?? { owner: 0, epoch: 0, sequence: 0 };
    if (ownerEpoch < mark.owner) {
      throw new BackendError('fenced', `owner ${mark.owner} has taken over from ${ownerEpoch}`);
    }
    this.#setPartitions(publication);
    const isPassed = originEpoch < mark.epoch;
    const remembered = originEpoch > mark.epoch ? 0 : mark.sequence;
    let sequence = isPassed ? remembered : Math.max(remembered, floor);
    if (!isPassed && sequence < previous) {
      throw new BackendError('busy', `this producer's jobs are known only up to ${sequence}`);
    }
    const receipt = { remembered, alreadyApplied: 0, duplicates: new Array<string>(), refused: 0 };
    for (const job of jobs) {
      if (isPassed || job.sequence <= sequence) receipt.alreadyApplied += 1;
      else if (this.size >= (publication.maxJobs ?? Infinity)) receipt.refused += 1;
      else {
        if (!this.#add(job)) receipt.duplicates.push(job.id);
        sequence = job.sequence;
      }
    }
    if (!isPassed) this.#marks.set(producer, { owner: ownerEpoch, epoch: originEpoch, sequence });
    return receipt;
  }

  /** Moves due jobs to the waiting ones, the earliest first; returns when the next one is due. */
  promote(epochMs: number): number | undefined {
    const due = this.delayed.filter(({ dueAtMs }) => dueAtMs <= epochMs);
    if (due.length > 0) this.delayed = this.delayed.filter(({ dueAtMs }) => dueAtMs > epochMs);
    for (const job of due.toSorted((one, other) => one.dueAtMs - other.dueAtMs)) this.append(job);
    return this.delayed.reduce<number | undefined>(
      (next, { dueAtMs }) => Math.min(next ?? dueAtMs, dueAtMs),
      undefined,
    );
  }

  append(job: PublishedJob, history?: readonly string[]): void {
    this.#lastHandle += 1;
    const handle = String(this.#lastHandle);
    this.#isPlain &&= job.routing === undefined;
    const entry = { handle, job, history, deliveries: 0, owner: undefined, leasedUntilMs: 0 };
    this.entries.set(handle, entry);
  }

  /** Delivers up to `max` waiting jobs. */
  take(owner: string, max: number, leasedUntilMs: number): Delivery[] {
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
    time: { nowMs: number; leasedUntilMs: number },
  ): Delivery[] {
    const taken: Delivery[] = [];
    for (const entry of this.entries.values()) {
      if (entry.owner === owner && held.has(entry.handle)) entry.leasedUntilMs = time.leasedUntilMs;
      const isUnheld = entry.owner === owner && !held.has(entry.handle);
      const isExpired =
        entry.owner !== undefined && entry.owner !== owner && entry.leasedUntilMs <= time.nowMs;
      if (taken.length >= max || (!isUnheld && !isExpired)) continue;
      if (isExpired) entry.deliveries += 1;
      taken.push(deliver(entry, owner, time.leasedUntilMs));
    }
    return taken;
  }

  /** Removes a job if it still belongs to the consumer; returns whether it did. */
  remove(owner: string, handle: string): boolean {
    return this.entries.get(handle)?.owner === owner && this.entries.delete(handle);
  }

  peek(kind: PeekedKind): PeekedJob[] {
    if (kind === 'delayed') {
      const inOrder = this.delayed.toSorted((one, other) => one.dueAtMs - other.dueAtMs);
      return inOrder.map(({ routing, ...job }) =>
        toPeekedJob(job, routing, { dueAtMs: job.dueAtMs }),
      );
    }
    return [...this.entries.values()]
      .filter(({ owner }) => (owner !== undefined) === (kind === 'pending'))
      .map(({ job, deliveries }) => toPeekedJob(job, job.routing, { deliveries }));
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

  #add(job: PublishedJob): boolean {
    if (job.unique && this.#ids.has(job.id)) return false;
    if (job.unique) this.#ids.add(job.id);
    if (job.dueAtMs > 0) this.delayed.push(job);
    else this.append(job);
    return true;
  }
}

function toPeekedJob(
  { id, payload, enqueuedAtMs }: PublishedJob,
  routing: string | undefined,
  more: Partial<PeekedJob>,
): PeekedJob {
  const job = { id, payload, enqueuedAtMs, deliveries: 0 };
  return { ...job, ...(routing !== undefined && { routing }), ...more };
}

function deliver(entry: Entry, owner: string, leasedUntilMs: number): Delivery {
  entry.owner = owner;
  entry.leasedUntilMs = leasedUntilMs;
  const { handle, deliveries, history } = entry;
  const { id, payload, enqueuedAtMs, routing } = entry.job;
  return {
    handle,
    id,
    payload,
    enqueuedAtMs,
    deliveries,
    ...(routing !== undefined && { routing }),
    ...(history && { history }),
  };
}
