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

/** A job in memory, and whose it is. */
interface Entry {
  readonly handle: string;
  readonly job: PublishedJob;
  readonly history: readonly string[] | undefined;
  deliveries: number;
  owner: string | undefined;
  leasedUntilMs: number;
}

interface Mark {
  readonly owner: number;
  readonly epoch: number;
  readonly sequence: number;
}

/** One topic in memory: what the scripts do in Redis, by the same rules. */
export class StoredTopic {
  readonly entries: Map<string, Entry> = new Map();
  delayed: PublishedJob[] = [];
  dead: DeadLetter[] = [];
  readonly #marks = new Map<string, Mark>();
  readonly #ids = new Set<string>();
  readonly #turns = new WeightedRoundRobin();
  #partitions = 0;
  /** No job was ever routed. */
  #isPlain = true;
  #lastHandle = 0;

  get size(): number {
    return this.entries.size + this.delayed.length;
  }

  /** @throws BackendError (`fenced`; `busy` where something is missing before) */
  publish(publication: Publication): PublishReceipt {
    const { producer, ownerEpoch, originEpoch, floor, previous, jobs } = publication;
    const mark = this.#marks.get(producer) ?? { owner: 0, epoch: 0, sequence: 0 };
    if (ownerEpoch < mark.owner) {
      throw new BackendError('fenced', `owner ${mark.owner} has taken over from ${ownerEpoch}`);
    }
    this.#shape(publication);
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

  /** Hands over what is due, the earliest first; gives when the next one is. */
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

  /** Up to `max` jobs that are nobody's. */
  take(owner: string, max: number, leasedUntilMs: number): Delivery[] {
    const subqueue = ({ job }: Entry): string => subqueueOf(job.routing, this.#partitions);
    const waiting: Entry[] = [];
    const busy = new Set<string>();
    for (const entry of this.entries.values()) {
      // Without levels and keys the first ones are the next ones.
      if (this.#isPlain && waiting.length >= max) break;
      if (entry.owner === undefined) waiting.push(entry);
      else if (isPartition(subqueue(entry))) busy.add(subqueue(entry));
    }
    return selectNext(waiting, subqueue, busy, { turns: this.#turns, max }).map((entry) => {
      entry.deliveries += 1;
      return hand(entry, owner, leasedUntilMs);
    });
  }

  /** What nobody alive works on: the consumer's own that it does not hold, and what silent ones hold. */
  takeOver(
    owner: string,
    held: ReadonlySet<string>,
    max: number,
    time: { nowMs: number; leasedUntilMs: number },
  ): Delivery[] {
    const taken: Delivery[] = [];
    for (const entry of this.entries.values()) {
      if (entry.owner === owner && held.has(entry.handle)) entry.leasedUntilMs = time.leasedUntilMs;
      const isOrphan = entry.owner === owner && !held.has(entry.handle);
      const isSilent =
        entry.owner !== undefined && entry.owner !== owner && entry.leasedUntilMs <= time.nowMs;
      if (taken.length >= max || (!isOrphan && !isSilent)) continue;
      if (isSilent) entry.deliveries += 1;
      taken.push(hand(entry, owner, time.leasedUntilMs));
    }
    return taken;
  }

  /** Removes a job that is still the consumer's; gives whether it was. */
  remove(owner: string, handle: string): boolean {
    return this.entries.get(handle)?.owner === owner && this.entries.delete(handle);
  }

  peek(kind: PeekedKind): PeekedJob[] {
    if (kind === 'delayed') {
      const inOrder = this.delayed.toSorted((one, other) => one.dueAtMs - other.dueAtMs);
      return inOrder.map(({ routing, ...job }) => shown(job, routing, { dueAtMs: job.dueAtMs }));
    }
    return [...this.entries.values()]
      .filter(({ owner }) => (owner !== undefined) === (kind === 'pending'))
      .map(({ job, deliveries }) => shown(job, job.routing, { deliveries }));
  }

  #shape({ partitions = 0, jobs }: Publication): void {
    if (partitions === 0 || partitions === this.#partitions) return;
    if (jobs.every(({ routing }) => routing === undefined)) return;
    const isRouted = ({ job }: Entry): boolean =>
      isPartition(subqueueOf(job.routing, this.#partitions));
    if ([...this.entries.values()].some(isRouted)) {
      const said = `the topic has ${this.#partitions} partitions with jobs in them, not ${partitions}`;
      throw new BackendError('denied', said);
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

function shown(
  { id, payload, enqueuedAtMs }: PublishedJob,
  routing: string | undefined,
  more: Partial<PeekedJob>,
): PeekedJob {
  const job = { id, payload, enqueuedAtMs, deliveries: 0 };
  return { ...job, ...(routing !== undefined && { routing }), ...more };
}

function hand(entry: Entry, owner: string, leasedUntilMs: number): Delivery {
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
