import {
  type Clock,
  integer,
  objectWith,
  onAbort,
  parseOptions,
  systemClock,
} from '@holdfast/foundation';
import type {
  DeadLetter,
  ConnectionListener,
  PeekedJob,
  PeekedKind,
  Publication,
  PublishReceipt,
  QueueBackend,
  RemovalStep,
  RecoveredDeliveries,
  Subscription,
  TopicCounts,
} from '../backend.ts';
import { OPERATIONS } from '../control/operation.ts';
import { BackendError } from '../errors.ts';
import { MemoryOutcomes } from './outcomes.ts';
import type { LimitStore } from '../limits/limit-store.ts';
import { MemoryLimitStore } from '../limits/memory-limit-store.ts';
import { MemoryScheduleStore, type ScheduleStore } from '../schedules/schedule-store.ts';
import { StoredTopic } from './stored-topic.ts';

/** Options of `createMemoryBackend`. */
export interface MemoryBackendOptions {
  /** The most jobs of all topics together; then it is `busy`. Default 1 000 000. */
  maxJobs?: number;
  /** The most dead letters kept of a topic, the newest. Default 10 000. */
  maxDeadLetters?: number;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
}

const shape = {
  maxJobs: integer({ min: 1, max: 1_000_000_000, default: 1_000_000 }),
  maxDeadLetters: integer({ min: 1, max: 10_000_000, default: 10_000 }),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

/** The wait of a fetch that names none, as with Redis. */
const WAIT_MS = 250;

/**
 * Creates a store in this process, for services without Redis and for tests. It gives the same guarantees as Redis
 * while the process lives. Ids and high-water marks never expire.
 * @throws InvalidOptionError
 */
export function createMemoryBackend(options?: MemoryBackendOptions): QueueBackend {
  return new MemoryBackend(parseOptions('createMemoryBackend', shape, options));
}

class MemoryBackend implements QueueBackend {
  readonly kind = 'memory';
  readonly outcomes: MemoryOutcomes;
  readonly operations = OPERATIONS;
  readonly debounces = true;
  readonly schedules: ScheduleStore;
  readonly limits: LimitStore;
  readonly #options: Required<MemoryBackendOptions>;
  readonly #topics = new Map<string, StoredTopic>();
  /** Wakes consumers that wait for jobs. */
  readonly #waiting = new Set<() => void>();
  #consumers = 0;
  #isClosed = false;

  constructor(options: Required<MemoryBackendOptions>) {
    this.#options = options;
    this.outcomes = new MemoryOutcomes(options.clock, () => this.#assertOpen());
    this.limits = new MemoryLimitStore(() => options.clock.now());
    this.schedules = new MemoryScheduleStore(() => options.clock.epochMs());
  }

  open(listener: ConnectionListener): void {
    listener.connected({ attempt: 1 });
  }

  async whenConnected(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#assertOpen();
  }

  async publish(publication: Publication): Promise<PublishReceipt> {
    this.#assertOpen();
    const held = [...this.#topics.values()].reduce((sum, { size }) => sum + size, 0);
    const { maxJobs, clock } = this.#options;
    if (held + publication.jobs.length > maxJobs) {
      throw new BackendError('busy', `the memory backend holds ${held} of at most ${maxJobs} jobs`);
    }
    const receipt = this.#topic(publication.topic).publish(publication, clock.now());
    this.#wake();
    return receipt;
  }

  subscribe(name: string, leaseMs: number): Subscription {
    this.#consumers += 1;
    const me = String(this.#consumers);
    const { clock } = this.#options;
    const topic = this.#topic(name);
    topic.hasConsumer = true;
    const leasedUntilMs = (): number => clock.now() + leaseMs;
    return {
      whenConnected: (signal) => this.whenConnected(signal),
      fetch: async (max, waitMs = WAIT_MS, signal) => {
        this.#assertOpen();
        const nextDueMs = topic.promote(clock.now());
        const taken = topic.take(me, max, leasedUntilMs());
        if (taken.length > 0 || isAborted(signal)) return taken;
        const dueInMs = (nextDueMs ?? Infinity) - clock.now();
        // Nobody but this process can handle the jobs of the topic, so it must not exit before.
        const holdsProcess = topic.size > 0;
        await this.#untilPublished(Math.min(waitMs, dueInMs), holdsProcess, signal);
        if (isAborted(signal)) return [];
        this.#assertOpen();
        topic.promote(clock.now());
        return topic.take(me, max, leasedUntilMs());
      },
      recover: async (held, max, mayTakeOver = true, last): Promise<RecoveredDeliveries> => {
        this.#assertOpen();
        const time = { nowMs: clock.now(), leasedUntilMs: leasedUntilMs() };
        const deliveries = topic.takeOver(me, new Set(held), max, { mayTakeOver, last, ...time });
        const isLost = (handle: string): boolean => {
          const owner = topic.entries.get(handle)?.owner;
          return owner !== undefined && owner !== me;
        };
        return { deliveries, lost: held.filter(isLost) };
      },
      acknowledge: async (handles, outcomes) => {
        this.#assertOpen();
        for (const handle of handles) {
          if (topic.remove(me, handle)) this.outcomes.keep(name, outcomes?.get(handle));
        }
        this.#wake();
      },
      deadLetter: async ({ handle, history = [], ...job }, reason, stack, kept) => {
        this.#assertOpen();
        if (!topic.remove(me, handle)) return;
        this.outcomes.keep(name, kept);
        topic.dead.push({ ...job, reason, ...(stack !== undefined && { stack }), history });
        if (topic.dead.length > this.#options.maxDeadLetters) topic.dead.shift();
        this.#wake();
      },
      retryLater: async (delivery, delayMs) => {
        this.#assertOpen();
        const isDelayed = topic.retryLater(me, delivery, clock.now() + delayMs);
        this.#wake();
        return isDelayed ? 'delayed' : 'kept';
      },
      release: async (jobs) => {
        for (const { handle, deliveries } of jobs) topic.release(me, handle, deliveries);
        this.#wake();
      },
      control: async () => ({ isPaused: topic.isPaused, cancelled: [...topic.cancelled] }),
      close: async (held = []) => {
        for (const { handle, owner, deliveries } of topic.entries.values()) {
          if (owner === me && !held.includes(handle)) topic.release(me, handle, deliveries - 1);
        }
        this.#wake();
      },
    };
  }

  async deadLetters(name: string, limit: number): Promise<DeadLetter[]> {
    this.#assertOpen();
    return this.#topic(name).dead.slice(0, limit);
  }

  async redrive(name: string, limit: number, ids: readonly string[] = []): Promise<number> {
    this.#assertOpen();
    const topic = this.#topic(name);
    const isChosen = ({ id }: DeadLetter): boolean => ids.length === 0 || ids.includes(id);
    const chosen = new Set(topic.dead.filter(isChosen).slice(0, limit));
    topic.dead = topic.dead.filter((letter) => !chosen.has(letter));
    // Whoever redrives a job wants it to run, whatever its age.
    for (const letter of chosen) {
      const { reason, stack: _s, history, deliveries: _d, expiresInMs: _e, ...job } = letter;
      this.outcomes.forget(name, job.id);
      topic.append({ ...job, sequence: 0, unique: false, dueAtMs: 0 }, [...history, reason]);
    }
    this.#wake();
    return chosen.size;
  }

  async count(name: string): Promise<TopicCounts> {
    this.#assertOpen();
    const { entries, delayed, dead, isPaused } = this.#topic(name);
    const pending = [...entries.values()].filter(({ owner }) => owner !== undefined).length;
    const waiting = entries.size - pending;
    const counts = { waiting, pending, delayed: delayed.length, dead: dead.length };
    return isPaused ? { ...counts, paused: true } : counts;
  }

  async isPaused(name: string): Promise<boolean> {
    this.#assertOpen();
    return this.#topics.get(name)?.isPaused ?? false;
  }

  async removeWaiting(name: string, delayed: boolean): Promise<RemovalStep> {
    this.#assertOpen();
    const removed = this.#topics.get(name)?.removeWaiting(delayed) ?? 0;
    this.#wake();
    return { removed };
  }

  async peek(name: string, kind: PeekedKind, limit: number): Promise<PeekedJob[]> {
    this.#assertOpen();
    const { clock } = this.#options;
    const epochOffsetMs = clock.epochMs() - clock.now();
    return this.#topic(name).peek(kind, epochOffsetMs).slice(0, limit);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#wake();
  }

  #topic(name: string): StoredTopic {
    const known = this.#topics.get(name);
    if (known !== undefined) return known;
    const topic = new StoredTopic();
    this.#topics.set(name, topic);
    return topic;
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
  }

  /** Resolves when jobs were published or returned, after `withinMs`, or when the signal is aborted. */
  #untilPublished(
    withinMs: number,
    holdsProcess: boolean,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#waiting.delete(wake);
        timer.cancel();
        release();
        resolve();
      };
      const { clock } = this.#options;
      const timer = clock.schedule(Math.max(1, withinMs), wake, { holdsProcess });
      const release = onAbort(signal, wake);
      this.#waiting.add(wake);
    });
  }

  #assertOpen(): void {
    if (this.#isClosed) throw new BackendError('unreachable', 'the memory backend is closed');
  }
}

function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted ?? false;
}
