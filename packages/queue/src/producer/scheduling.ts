import { crc32 } from 'node:zlib';
import { InvalidOptionError } from '@holdfast/foundation';

/** How urgent a job is among those of its topic. */
export type Priority = 'high' | 'normal' | 'low';

export const PRIORITIES: readonly Priority[] = ['high', 'normal', 'low'];

/** Of ten jobs taken while all levels wait, at least so many are of each: none of them starves. */
const TURNS: readonly Priority[] = [
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
 * Where a job belongs within its topic: a level, or the hash of its key; absent for the many that are nothing
 * in particular. The hash and not the partition, because the number of these may change while the job waits.
 * @throws InvalidOptionError for a key without partitions, and for a key with a priority: that would change the
 *   order of its jobs.
 */
export function routingOf(
  topic: string,
  { key, priority }: { key: string | undefined; priority: Priority | undefined },
  partitions: number | undefined,
): string | undefined {
  if (key === undefined) return priority === 'normal' ? undefined : priority;
  if (partitions === undefined) {
    const permitted = `absent, unless topics.${topic}.partitions says in how many parts keys are kept in order`;
    throw new InvalidOptionError('enqueue', 'key', key, permitted);
  }
  if (priority !== undefined) {
    throw new InvalidOptionError(
      'enqueue',
      'priority',
      priority,
      'absent where there is a key, whose jobs keep their order',
    );
  }
  return String(crc32(key));
}

/** The main subqueue is '', the levels have their names, and the partitions their numbers. */
export function subqueueOf(routing: string | undefined, partitions: number): string {
  if (routing === undefined || routing === 'high' || routing === 'low') return routing ?? '';
  return partitions === 0 ? '' : String(Number(routing) % partitions);
}

/** Whether the subqueue hands out one job at a time. */
export function isPartition(subqueue: string): boolean {
  return subqueue !== '' && subqueue !== 'high' && subqueue !== 'low';
}

/** Shares out what is taken among the levels, each in its turn. */
export class WeightedRoundRobin {
  #turn = 0;

  /** Of `max` jobs, how many each level has a right to. */
  shares(max: number): Record<Priority, number> {
    const shares = { high: 0, normal: 0, low: 0 };
    for (let taken = 0; taken < max; taken += 1) {
      const level = TURNS[this.#turn % TURNS.length] ?? 'high';
      shares[level] += 1;
      this.#turn += 1;
    }
    return shares;
  }

  /** Those turns were not used. */
  giveBack(count: number): void {
    this.#turn = (this.#turn + TURNS.length * count - count) % TURNS.length;
  }
}

/**
 * Which of the waiting jobs, given in the order they came, are handed out now: of each partition the first
 * one where none is being handled, of each level its share, and what is left by urgency.
 * @param busy subqueues a job of which is being handled.
 */
export function selectNext<E>(
  waiting: Iterable<E>,
  subqueueOfEntry: (entry: E) => string,
  busy: ReadonlySet<string>,
  { turns, max }: { turns: WeightedRoundRobin; max: number },
): E[] {
  const byLevel: Record<Priority, E[]> = { high: [], normal: [], low: [] };
  const headless = new Set(busy);
  for (const entry of waiting) {
    const subqueue = subqueueOfEntry(entry);
    if (!isPartition(subqueue)) byLevel[levelOf(subqueue)].push(entry);
    else if (!headless.has(subqueue)) {
      headless.add(subqueue);
      byLevel.normal.push(entry);
    }
  }
  const shares = turns.shares(max);
  const next = PRIORITIES.flatMap((level) => byLevel[level].splice(0, shares[level]));
  const rest = PRIORITIES.flatMap((level) => byLevel[level]).slice(0, max - next.length);
  turns.giveBack(max - next.length - rest.length);
  return [...next, ...rest];
}

function levelOf(subqueue: string): Priority {
  return subqueue === 'high' || subqueue === 'low' ? subqueue : 'normal';
}
