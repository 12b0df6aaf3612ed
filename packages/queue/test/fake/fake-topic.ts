import type {
  Delivery,
  PeekedJob,
  PeekedKind,
  Publication,
  PublishReceipt,
  PublishedJob,
} from '../../src/backend.ts';
import type { OperationKind } from '../../src/control/operation.ts';
import { BackendError } from '../../src/errors.ts';
import { WeightedRoundRobin, subqueueOf, isPartition } from '../../src/producer/scheduling.ts';

export interface Entry {
  readonly routing?: string | undefined;
  readonly handle: string;
  readonly id: string;
  readonly payload: string;
  readonly enqueuedAtMs: number;
  owner?: string;
  leasedAtMs?: number;
  deliveries: number;
  readonly history?: readonly string[];
  readonly attributes?: string;
  readonly operation?: OperationKind;
}

export interface Topic {
  entries: Entry[];
  delayed: { readonly dueAtMs: number; readonly entry: Entry }[];
  /** By producer: the last owner of its journal. */
  owners: Map<string, { epoch: number; nonce: string | undefined }>;
  /** By origin. */
  marks: Map<string, { epoch: number; sequence: number }>;
  ids: Set<string>;
  partitions: number;
  roundRobin: WeightedRoundRobin;
}

export function emptyTopic(): Topic {
  return {
    entries: [],
    delayed: [],
    owners: new Map(),
    marks: new Map(),
    ids: new Set(),
    partitions: 0,
    roundRobin: new WeightedRoundRobin(),
  };
}

/** Delivers an entry to the consumer. */
export function hand(entry: Entry, me: string, nowMs: number): Delivery {
  if (entry.owner === undefined) entry.deliveries += 1;
  entry.owner = me;
  entry.leasedAtMs = nowMs;
  const { handle, id, payload, enqueuedAtMs, deliveries, history, routing, attributes } = entry;
  const routed = routing === undefined ? {} : { routing };
  const again = history === undefined ? {} : { history };
  const own = attributes === undefined ? {} : { attributes };
  return { handle, id, payload, enqueuedAtMs, deliveries, ...routed, ...again, ...own };
}

export function peekInto(
  { entries, delayed }: Topic,
  kind: PeekedKind,
  epochOffsetMs: number,
): PeekedJob[] {
  const show = ({ id, payload, enqueuedAtMs, deliveries, routing }: Entry): PeekedJob =>
    Object.assign(
      { id, payload, enqueuedAtMs, deliveries },
      routing === undefined ? {} : { routing },
    );
  if (kind === 'delayed') {
    const inOrder = delayed.toSorted((one, other) => one.dueAtMs - other.dueAtMs);
    return inOrder.map(({ entry, dueAtMs }) =>
      Object.assign(show(entry), { dueAtMs: dueAtMs + epochOffsetMs }),
    );
  }
  return entries.filter(({ owner }) => (owner !== undefined) === (kind === 'pending')).map(show);
}

let lastHandle = 0;

export function freshHandle(): string {
  lastHandle += 1;
  return `${lastHandle}`;
}

type Attempts = Pick<Delivery, 'handle' | 'deliveries'>;

/** Puts a failed job aside, as the retry script does. */
export function delayRetry(
  topic: Topic,
  me: string,
  { handle, deliveries }: Attempts,
  dueAtMs: number,
): 'delayed' | 'kept' {
  const entry = topic.entries.find((one) => one.handle === handle && one.owner === me);
  if (entry === undefined) return 'delayed';
  entry.deliveries = deliveries;
  if (isPartition(subqueueOf(entry.routing, topic.partitions))) return 'kept';
  topic.entries = topic.entries.filter((one) => one !== entry);
  const { owner: _, ...rest } = entry;
  topic.delayed.push({ dueAtMs, entry: { ...rest, handle: freshHandle() } });
  return 'delayed';
}

/** Hands a job back, as the release script does. */
export function giveBack({ entries }: Topic, me: string, { handle, deliveries }: Attempts): void {
  const entry = entries.find((one) => one.handle === handle && one.owner === me);
  if (entry === undefined) return;
  delete entry.owner;
  entry.deliveries = deliveries;
}

export interface PublishHooks {
  /** The reason why one job cannot be added, if any. */
  readonly poisonReason: (job: PublishedJob) => string | undefined;
  /** Called for each added job. */
  readonly added: (job: PublishedJob) => void;
  /** Monotonic. */
  readonly nowMs: number;
}

/** Does what the publish script does. @throws BackendError */
export function publishInto(
  topic: Topic,
  {
    producer,
    ownerEpoch,
    ownerNonce,
    originEpoch,
    originNonce: origin = producer,
    floor,
    previous,
    maxJobs = Infinity,
    partitions = 0,
    jobs,
  }: Publication,
  { nowMs, poisonReason, added }: PublishHooks,
): PublishReceipt {
  const isKept = ({ routing }: Entry): boolean =>
    isPartition(subqueueOf(routing, topic.partitions));
  if (partitions > 0 && jobs.some(({ routing }) => routing !== undefined)) {
    if (partitions !== topic.partitions && topic.entries.some(isKept)) {
      throw new BackendError('denied', 'the topic has another number of partitions');
    }
    topic.partitions = partitions;
  }
  const owner = topic.owners.get(producer) ?? { epoch: 0, nonce: undefined };
  if (ownerEpoch < owner.epoch || (ownerEpoch === owner.epoch && ownerNonce !== owner.nonce)) {
    throw new BackendError('fenced', 'another owner has published');
  }
  const mark = topic.marks.get(origin) ?? { epoch: 0, sequence: 0 };
  const passed = originEpoch < mark.epoch;
  const remembered = originEpoch > mark.epoch ? 0 : mark.sequence;
  let sequence = passed ? remembered : Math.max(remembered, floor);
  if (!passed && sequence < previous) throw new BackendError('busy', 'earlier jobs are missing');
  let alreadyApplied = 0;
  const duplicates: string[] = [];
  let refused = 0;
  let poison: PublishReceipt['poison'];
  for (const job of jobs) {
    if (passed || job.sequence <= sequence) {
      alreadyApplied += 1;
      continue;
    }
    if (topic.entries.length + topic.delayed.length >= maxJobs) {
      refused += 1;
      continue;
    }
    const reason = poisonReason(job);
    if (reason !== undefined) {
      poison = { sequence: job.sequence, reason };
      break;
    }
    sequence = job.sequence;
    if (job.unique && topic.ids.has(job.id)) {
      duplicates.push(job.id);
      continue;
    }
    if (job.unique) topic.ids.add(job.id);
    const { id, payload, enqueuedAtMs, delayMs, routing, attributes, operation } = job;
    const entry: Entry = {
      ...{ handle: freshHandle(), id, payload, enqueuedAtMs, routing, deliveries: 0 },
      ...(attributes !== undefined && { attributes }),
      // This store only records operations, in their places among the jobs.
      ...(operation !== undefined && { operation }),
    };
    if (delayMs !== undefined) topic.delayed.push({ dueAtMs: nowMs + delayMs, entry });
    else topic.entries.push(entry);
    added(job);
  }
  if (!passed) {
    topic.owners.set(producer, { epoch: ownerEpoch, nonce: ownerNonce });
    topic.marks.set(origin, { epoch: originEpoch, sequence });
  }
  return { remembered, alreadyApplied, duplicates, refused, ...(poison && { poison }) };
}
