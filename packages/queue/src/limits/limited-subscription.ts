import { type Clock, describeThrown, onAbort } from '@holdfast/foundation';
import type {
  Delivery,
  LastDeliveries,
  RecoveredDeliveries,
  Subscription,
  TopicControl,
} from '../backend.ts';
import type { JobMemory } from '../consumer/job-memory.ts';
import { OperationUnsupportedError } from '../errors.ts';
import { Notifier } from '../notifier.ts';
import type { ResolvedLimits } from './limit-options.ts';
import type { LimitStore, LimitedSlot } from './limit-store.ts';

/** The wait of a fetch that names none, as with Redis. */
const WAIT_MS = 250;
/** All jobs whose keys cannot be told. */
const UNKNOWN_KEY = 'unknown';

interface LimitDeps {
  readonly topic: string;
  readonly limits: ResolvedLimits;
  readonly store: LimitStore;
  readonly leaseMs: number;
  readonly clock: Clock;
  readonly memory: JobMemory;
}

/** A job that was taken from the store, and may not start yet. */
interface HeldJob {
  readonly delivery: Delivery;
  readonly slot: LimitedSlot;
}

/**
 * A subscription that hands over only jobs which may start by the limits that all consumers of the topic share.
 *
 *     taken ──▶ held ──▶ granted ──▶ handed over ──▶ ended: its slot is free
 *                 ├─ the topic's limit is reached: held, and nothing more is taken
 *                 └─ that of its key: put aside in the store, or held where the store does not put it aside
 *
 * It holds no more jobs than the consumer had asked for, and renews their leases with those of the others.
 */
class LimitedSubscription implements Subscription {
  readonly #inner: Subscription;
  readonly #deps: LimitDeps;
  readonly #held = new Map<string, HeldJob>();
  /** The jobs that were handed over and have not ended. */
  readonly #running = new Map<string, LimitedSlot>();
  readonly #freed = new Notifier();
  /** Until when the topic's limit is reached, as far as is known, by the monotonic clock. */
  #retryAtMs = -Infinity;
  #isTopicLimited = false;

  constructor(inner: Subscription, deps: LimitDeps) {
    this.#inner = inner;
    this.#deps = deps;
  }

  whenConnected(signal: AbortSignal): Promise<void> {
    return this.#inner.whenConnected(signal);
  }

  async fetch(max: number, waitMs: number = WAIT_MS, signal?: AbortSignal): Promise<Delivery[]> {
    const { clock } = this.#deps;
    const untilMs = clock.now() + waitMs;
    const inMs = this.#retryAtMs - clock.now();
    if (this.#held.size > 0 && inMs > 0 && (this.#isTopicLimited || this.#held.size >= max)) {
      await this.#untilFreed(Math.min(inMs, waitMs), signal);
    }
    if (signal?.aborted === true) return [];
    if (await this.#isPausedByControl()) {
      await this.#untilFreed(untilMs - clock.now(), signal);
      return [];
    }
    const granted = await this.#grant(max);
    const room = max - granted.length - this.#held.size;
    if (granted.length > 0 || room <= 0 || this.#isTopicLimited) return granted;
    const leftMs = Math.max(1, untilMs - clock.now());
    const retryInMs = this.#held.size === 0 ? Infinity : Math.max(1, this.#retryAtMs - clock.now());
    const taken = await this.#inner.fetch(room, Math.min(leftMs, retryInMs), signal);
    return [...this.#hold(taken), ...(await this.#grant(max))];
  }

  async recover(
    held: readonly string[],
    max: number,
    mayTakeOver?: boolean,
    last?: LastDeliveries,
  ): Promise<RecoveredDeliveries> {
    const room = Math.max(0, max - this.#held.size);
    // One that is held for its last delivery is to run alone as well.
    const isOneHeld = [...this.#held.values()].some(({ delivery }) => delivery.isRecovered);
    const limited = last && isOneHeld ? { ...last, max: 0 } : last;
    const all = this.#held.size === 0 ? held : [...held, ...this.#held.keys()];
    const recovered = await this.#inner.recover(all, room, mayTakeOver, limited);
    for (const handle of [...recovered.lost, ...(recovered.gone ?? [])]) {
      this.#held.delete(handle);
      this.#running.delete(handle);
    }
    // The next fetch hands them over.
    const free = this.#hold(recovered.deliveries.map(asRecovered));
    // The slots of jobs that ended without a word expire.
    const mine = new Set(held);
    const running = [...this.#running].filter(([handle]) => mine.has(handle));
    await this.#grant(
      0,
      running.map(([, slot]) => slot),
    ).catch(() => undefined);
    return { ...recovered, deliveries: free };
  }

  async acknowledge(...handled: Parameters<Subscription['acknowledge']>): Promise<void> {
    await this.#inner.acknowledge(...handled);
    await this.#end(handled[0]);
  }

  async deadLetter(...letter: Parameters<Subscription['deadLetter']>): Promise<void> {
    await this.#inner.deadLetter(...letter);
    await this.#end([letter[0].handle]);
  }

  async control(held: readonly string[]): Promise<TopicControl> {
    return (await this.#inner.control?.(held)) ?? { isPaused: false, cancelled: [] };
  }

  async retryLater(delivery: Delivery, delayMs: number): Promise<'delayed' | 'kept'> {
    const outcome = (await this.#inner.retryLater?.(delivery, delayMs)) ?? 'kept';
    if (outcome === 'delayed') await this.#end([delivery.handle]);
    return outcome;
  }

  async release(jobs: readonly Pick<Delivery, 'handle' | 'deliveries'>[]): Promise<void> {
    await this.#inner.release?.(jobs);
    await this.#end(jobs.map(({ handle }) => handle));
  }

  async close(held: readonly string[] = []): Promise<void> {
    this.#held.clear();
    const ended = [...this.#running.keys()].filter((handle) => !held.includes(handle));
    await this.#end(ended);
    await this.#inner.close(held);
  }

  /** The consumer does not know what is held here: removes what was cancelled. @returns whether the topic is paused. */
  async #isPausedByControl(): Promise<boolean> {
    if (this.#held.size === 0) return false;
    const { isPaused, cancelled } = await this.control([...this.#held.keys()]);
    const ended = cancelled.filter((handle) => this.#held.has(handle));
    if (ended.length > 0) await this.#inner.acknowledge(ended);
    for (const handle of ended) this.#held.delete(handle);
    return isPaused;
  }

  /** @returns those that need no leave, because they will not start. */
  #hold(taken: readonly Delivery[]): Delivery[] {
    const { memory } = this.#deps;
    const free: Delivery[] = [];
    for (const delivery of taken) {
      if (memory.wasHandled(delivery) || memory.isActive(delivery)) free.push(delivery);
      else {
        const slot = { slot: delivery.handle, key: this.#keyOf(delivery) };
        this.#held.set(delivery.handle, { delivery, slot });
      }
    }
    return free;
  }

  /** Asks for the first `max` jobs that are held. @param running the slots to renew. */
  async #grant(
    max: number,
    running: readonly LimitedSlot[] = [...this.#running.values()],
  ): Promise<Delivery[]> {
    const { topic, limits, leaseMs, store, clock } = this.#deps;
    const asked = [...this.#held.values()].slice(0, max);
    if (asked.length === 0 && running.length === 0) return [];
    const jobs = asked.map(({ slot }) => slot);
    const permits = await store.acquire({ topic, limits, leaseMs, jobs, running });
    const nowMs = clock.now();
    if (asked.length > 0) {
      this.#isTopicLimited = false;
      this.#retryAtMs = nowMs;
    }
    const granted: Delivery[] = [];
    const postponed: Promise<void>[] = [];
    for (const [index, { delivery, slot }] of asked.entries()) {
      const permit = permits[index];
      const isHeld = this.#held.has(delivery.handle);
      if (permit === undefined || !isHeld) continue;
      if (permit.kind === 'granted') {
        this.#held.delete(delivery.handle);
        this.#running.set(delivery.handle, slot);
        granted.push(delivery);
        continue;
      }
      this.#isTopicLimited ||= permit.kind === 'topic';
      this.#retryAtMs = Math.max(this.#retryAtMs, nowMs + permit.waitMs);
      if (permit.kind === 'key') postponed.push(this.#postpone(delivery, permit.waitMs));
    }
    await Promise.all(postponed);
    return granted;
  }

  /** Where the store does not put it aside, it stays here. */
  async #postpone(delivery: Delivery, waitMs: number): Promise<void> {
    const before = { ...delivery, deliveries: delivery.deliveries - 1 };
    const outcome = await this.#inner.retryLater?.(before, waitMs).catch(() => 'kept' as const);
    if (outcome === 'delayed') this.#held.delete(delivery.handle);
  }

  async #end(handles: readonly string[]): Promise<void> {
    const { topic, store } = this.#deps;
    const ended = handles.flatMap((handle) => this.#running.get(handle) ?? []);
    for (const handle of handles) this.#running.delete(handle);
    if (ended.length === 0) return;
    // Where the store cannot be reached, they expire.
    await store.release(topic, ended).catch(() => undefined);
    this.#retryAtMs = -Infinity;
    this.#freed.notifyAll();
  }

  #keyOf({ id, payload }: Delivery): string | undefined {
    const { keyOf } = this.#deps.limits;
    if (keyOf === undefined) return undefined;
    try {
      const key: unknown = keyOf({ id, payload: JSON.parse(payload) });
      return String(key);
    } catch (error) {
      process.emitWarning(
        `limits.perKey.of threw: ${describeThrown(error)}; the job counts for "${UNKNOWN_KEY}"`,
      );
      return UNKNOWN_KEY;
    }
  }

  async #untilFreed(waitMs: number, signal: AbortSignal | undefined): Promise<void> {
    const over = new AbortController();
    const end = (): void => over.abort();
    const timer = this.#deps.clock.schedule(Math.max(1, waitMs), end);
    const release = onAbort(signal, end);
    await this.#freed.wait(over.signal).catch(() => undefined);
    timer.cancel();
    release();
  }
}

function asRecovered(delivery: Delivery): Delivery {
  return { ...delivery, isRecovered: true };
}

/** The subscription under the limits of a consumer, if it has any. @throws OperationUnsupportedError */
export function limitedBy(
  limits: ResolvedLimits | undefined,
  store: LimitStore | undefined,
  subscribe: () => Subscription,
  deps: Omit<LimitDeps, 'limits' | 'store'>,
): Subscription {
  if (limits === undefined) return subscribe();
  if (store === undefined) throw new OperationUnsupportedError('process with limits');
  return new LimitedSubscription(subscribe(), { ...deps, limits, store });
}
