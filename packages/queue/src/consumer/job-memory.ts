import type { Delivery } from '../backend.ts';
import { RecentIds } from './recent-ids.ts';

/** The most topics without a consumer whose jobs are still remembered. */
const MAX_IDLE_TOPICS = 100;

type JobName = Pick<Delivery, 'id' | 'enqueuedAtMs'>;

/**
 * Remembers which jobs of one topic run, and which were handled, for all consumers of this process: a job whose
 * acknowledgement the store has lost does not run again. A later job of the same id is another job.
 */
export class JobMemory {
  readonly #active = new Set<string>();
  readonly #handled = new RecentIds(0);
  /** The number of consumers that use it. */
  users = 0;

  /** Remembers at least this many handled jobs from now on. */
  grow(maxJobs: number): void {
    this.#handled.grow(maxJobs);
  }

  /** The job is not settled until `end`. */
  begin(job: JobName): void {
    this.#active.add(nameOf(job));
  }

  end(job: JobName): void {
    this.#active.delete(nameOf(job));
  }

  isActive(job: JobName): boolean {
    return this.#active.has(nameOf(job));
  }

  /** Its handler has succeeded. */
  handled(job: JobName): void {
    this.#handled.add(nameOf(job));
  }

  wasHandled(job: JobName): boolean {
    return this.#handled.has(nameOf(job));
  }
}

function nameOf({ id, enqueuedAtMs }: JobName): string {
  return `${id}\n${enqueuedAtMs}`;
}

/** By store and topic, the least recently used first. */
const memories = new Map<string, JobMemory>();
/** The stores that no other backend reaches. */
const unnamed = new WeakMap<object, string>();
let lastUnnamed = 0;

/** The memory of a topic, which its consumers share; call the result when one of them is closed. */
export function useJobMemory(
  store: { readonly identity?: string },
  topic: string,
  maxJobs: number,
): { readonly memory: JobMemory; readonly release: () => void } {
  const key = `${identityOf(store)}\n${topic}`;
  const memory = memories.get(key) ?? new JobMemory();
  memory.users += 1;
  memory.grow(maxJobs);
  memories.delete(key);
  memories.set(key, memory);
  return {
    memory,
    release() {
      memory.users -= 1;
      forgetOldTopics();
    },
  };
}

function forgetOldTopics(): void {
  const idle = [...memories].filter(([, { users }]) => users === 0);
  for (const [key] of idle.slice(0, -MAX_IDLE_TOPICS)) memories.delete(key);
}

function identityOf(store: { readonly identity?: string }): string {
  if (store.identity !== undefined) return `named ${store.identity}`;
  const known = unnamed.get(store);
  if (known !== undefined) return known;
  lastUnnamed += 1;
  const identity = `unnamed ${lastUnnamed}`;
  unnamed.set(store, identity);
  return identity;
}
