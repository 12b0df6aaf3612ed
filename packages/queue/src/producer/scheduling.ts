import { crc32 } from 'node:zlib';
import { InvalidOptionError } from '@holdfast/foundation';

/** The priority of a job among those of its topic. */
export type Priority = 'high' | 'normal' | 'low';

export const PRIORITIES: readonly Priority[] = ['high', 'normal', 'low'];

/** The levels of ten jobs taken while all levels have jobs waiting: no level starves. */
const SCHEDULE: readonly Priority[] = [
  'high',
  'high',
  'normal',
  'high',
  'high',
  'high',
  'normal',
  'high',
  'high',
  'low',
];

/**
 * The routing of a job within its topic: a priority level, or the hash of its key; `undefined` for normal jobs
 * without a key. Stores the hash instead of the partition, because the number of partitions may change meanwhile.
 * @throws InvalidOptionError for a key without partitions, and for a key with a priority, which would change the
 *   order of the key's jobs.
 */
export function routingOf(
  topic: string,
  { key, priority }: { key: string | undefined; priority: Priority | undefined },
  partitions: number | undefined,
): string | undefined {
  if (key === undefined) return priority === 'normal' ? undefined : priority;
  if (partitions === undefined) {
    const permitted = `absent, unless topics.${topic}.partitions sets the number of partitions`;
    throw new InvalidOptionError('enqueue', 'key', key, permitted);
  }
  if (priority !== undefined) {
    throw new InvalidOptionError(
      'enqueue',
      'priority',
      priority,
      'absent when there is a key, whose jobs keep their order',
    );
  }
  return String(crc32(key));
}

/** The name of a job's subqueue: '' for the main one, the level, or the number of the partition. */
export function subqueueOf(routing: string | undefined, partitions: number): string {
  if (routing === undefined || routing === 'high' || routing === 'low') return routing ?? '';
  return partitions === 0 ? '' : String(Number(routing) % partitions);
}

/** Whether the subqueue is a partition, which delivers one job at a time. */
export function isPartition(subqueue: string): boolean {
  return subqueue !== '' && subqueue !== 'high' && subqueue !== 'low';
}

/** Divides the jobs to take among the levels by a weighted round robin. */
export class WeightedRoundRobin {
  #position = 0;

  /** The number of jobs of each level among the next `max`. */
  shares(max: number): Record<Priority, number> {
    const shares = { high: 0, normal: 0, low: 0 };
    for (let taken = 0; taken < max; taken += 1) {
      const level = SCHEDULE[this.#position % SCHEDULE.length] ?? 'high';
      shares[level] += 1;
      this.#position += 1;
    }
    return shares;
  }

  /** Returns shares that were not used. */
  giveBack(count: number): void {
    this.#position = (this.#position + SCHEDULE.length * count - count) % SCHEDULE.length;
  }
}

/**
 * Selects the jobs to deliver next from the waiting ones, given in their order: the first job of each partition that
 * is not busy, the share of each level, then the rest by priority.
 * @param busy the subqueues with a job that is being handled.
 */
export function selectNext<E>(
  waiting: Iterable<E>,
  subqueueOfEntry: (entry: E) => string,
  busy: ReadonlySet<string>,
  { roundRobin, max }: { roundRobin: WeightedRoundRobin; max: number },
): E[] {
  const byLevel: Record<Priority, E[]> = { high: [], normal: [], low: [] };
  const occupied = new Set(busy);
  for (const entry of waiting) {
    const subqueue = subqueueOfEntry(entry);
    if (!isPartition(subqueue)) byLevel[levelOf(subqueue)].push(entry);
    else if (!occupied.has(subqueue)) {
      occupied.add(subqueue);
      byLevel.normal.push(entry);
    }
  }
  const shares = roundRobin.shares(max);
  const next = PRIORITIES.flatMap((level) => byLevel[level].splice(0, shares[level]));
  const rest = PRIORITIES.flatMap((level) => byLevel[level]).slice(0, max - next.length);
  roundRobin.giveBack(max - next.length - rest.length);
  return [...next, ...rest];
}

function levelOf(subqueue: string): Priority {
  return subqueue === 'high' || subqueue === 'low' ? subqueue : 'normal';
}
