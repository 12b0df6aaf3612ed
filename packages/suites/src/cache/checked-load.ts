import type { CacheAnswer } from '@holdfast/cache';
import { type Random, createHistogram, sleep, systemClock } from '@holdfast/foundation';
import type { FleetNode } from './fleet.ts';

/** How long an answer may be old without saying so, and why some were wrong. */
interface CheckedLoadResult {
  readonly answers: number;
  /** What the caches added to the time of the source, or of memory, from the first fault on; and before it. */
  readonly addedP99Ms: number;
  readonly calmP99Ms: number;
  /** How long the oldest answer that was not marked had been replaced. */
  readonly unmarkedMs: number;
  readonly markedAnswers: number;
  /** Answers that no version of the key ever was, or calls that failed. */
  readonly wrong: readonly string[];
}

interface CheckedLoadOptions {
  readonly keys: number;
  /** The caches that are given the changes. One that is cut off tells the others when it is back. */
  readonly writers: readonly FleetNode[];
  readonly readsPerSecond: number;
  readonly writesPerSecond: number;
  readonly random: Random;
}

interface Version {
  readonly number: number;
  readonly sinceMs: number;
}

const SOURCE_MS = 2;
const TICK_MS = 5;

/**
 * Reads from all nodes at a steady rate while keys change, and checks each answer against what was true. A write changes
 * the source first, and then tells one of the caches.
 */
export class CheckedLoad {
  readonly #nodes: readonly FleetNode[];
  readonly #options: CheckedLoadOptions;
  readonly #versions: Version[][];
  readonly #calm = createHistogram();
  #added = this.#calm;
  readonly #stopping = new AbortController();
  readonly #running: Promise<void>;
  readonly #calls = new Set<Promise<unknown>>();
  readonly #wrong: string[] = [];
  #answers = 0;
  #marked = 0;
  #unmarkedMs = 0;

  constructor(nodes: readonly FleetNode[], options: CheckedLoadOptions) {
    this.#nodes = nodes;
    this.#options = options;
    const sinceMs = systemClock.now();
    this.#versions = Array.from({ length: options.keys }, () => [{ number: 0, sinceMs }]);
    this.#running = this.#run();
  }

  faultBegins(): void {
    if (this.#added === this.#calm) this.#added = createHistogram();
  }

  /** Ends the load once all calls are answered. */
  async stop(): Promise<CheckedLoadResult> {
    this.#stopping.abort();
    await this.#running;
    await Promise.all(this.#calls);
    return {
      answers: this.#answers,
      addedP99Ms: this.#added.read().p99Ms,
      calmP99Ms: this.#calm.read().p99Ms,
      unmarkedMs: this.#unmarkedMs,
      markedAnswers: this.#marked,
      wrong: this.#wrong,
    };
  }

  async #run(): Promise<void> {
    const { readsPerSecond, writesPerSecond } = this.#options;
    const { signal } = this.#stopping;
    const beganMs = systemClock.now();
    let reads = 0;
    let writes = 0;
    while (!signal.aborted) {
      const passedMs = systemClock.now() - beganMs;
      for (; reads < (passedMs * readsPerSecond) / 1_000; reads += 1) this.#track(this.#read());
      for (; writes < (passedMs * writesPerSecond) / 1_000; writes += 1) this.#track(this.#write());
      await sleep(systemClock, TICK_MS, signal).catch(() => undefined);
    }
  }

  #track(call: Promise<unknown>): void {
    this.#calls.add(call);
    void call.finally(() => this.#calls.delete(call));
  }

  #drawn<V>(list: readonly V[]): V {
    const drawn = list[Math.floor(this.#options.random() * list.length)];
    if (drawn === undefined) throw new RangeError('nothing to draw from');
    return drawn;
  }

  async #write(): Promise<void> {
    const key = Math.floor(this.#options.random() * this.#options.keys);
    const versions = this.#versions[key] ?? [];
    const number = versions.length;
    versions.push({ number, sinceMs: systemClock.now() });
    const { cache } = this.#drawn(this.#options.writers);
    if (this.#options.random() < 0.5) await cache.delete(`${key}`);
    else await cache.set(`${key}`, `${key}:${number}`);
  }

  async #read(): Promise<void> {
    const key = Math.floor(this.#options.random() * this.#options.keys);
    const { cache } = this.#drawn(this.#nodes);
    const beganMs = systemClock.now();
    let sourceMs = 0;
    try {
      const answer = await cache.getOrLoad(`${key}`, async () => {
        const askedMs = systemClock.now();
        const number = (this.#versions[key]?.length ?? 1) - 1;
        await sleep(systemClock, SOURCE_MS);
        sourceMs = systemClock.now() - askedMs;
        return `${key}:${number}`;
      });
      // Who joins a load, or waits for that of another cache, waits for the source too.
      const ownMs = answer.from === 'memory' ? 0 : Math.max(SOURCE_MS, sourceMs);
      this.#added.record(Math.max(0, systemClock.now() - beganMs - ownMs));
      this.#check(key, answer, beganMs);
    } catch (error) {
      this.#wrong.push(String(error));
    }
  }

  #check(key: number, { value, isStale }: CacheAnswer<string>, askedMs: number): void {
    this.#answers += 1;
    const [of, number] = value.split(':').map(Number);
    const next = this.#versions[key]?.[(number ?? 0) + 1];
    if (of !== key || this.#versions[key]?.[number ?? -1] === undefined) {
      this.#wrong.push(`${value} for ${key}`);
    } else if (isStale) {
      this.#marked += 1;
    } else if (next !== undefined) {
      const oldMs = askedMs - next.sinceMs;
      if (oldMs > this.#unmarkedMs) this.#unmarkedMs = oldMs;
    }
  }
}
