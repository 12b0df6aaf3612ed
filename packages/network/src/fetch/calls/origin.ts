import {
  type Bulkhead,
  type CircuitBreaker,
  createBulkhead,
  createCircuitBreaker,
} from '@holdfast/resilience';
import type { ConnectionSource } from '../connections/connection.ts';
import { LONGEST_MS, type FetchSettings } from '../options.ts';
import type { FetchOriginStats } from '../resilient-fetch.ts';

/** What the calls to one origin share. */
export interface Origin {
  readonly name: string;
  readonly circuit: CircuitBreaker;
  readonly bulkhead: Bulkhead;
  readonly source: ConnectionSource;
}

/** The origins by name, of which those without calls leave when there are too many; the least recently used first. */
export class Origins {
  readonly #settings: FetchSettings;
  readonly #openSource: (url: URL) => ConnectionSource;
  readonly #byName = new Map<string, Origin>();

  constructor(settings: FetchSettings, openSource: (url: URL) => ConnectionSource) {
    this.#settings = settings;
    this.#openSource = openSource;
  }

  /** `undefined` when all origins that are kept have calls, and there are as many as may be. */
  of(url: URL): Origin | undefined {
    const name = url.origin;
    const known = this.#byName.get(name);
    if (known !== undefined) {
      if (this.#byName.size >= this.#settings.maxOrigins) {
        this.#byName.delete(name);
        this.#byName.set(name, known);
      }
      return known;
    }
    if (this.#byName.size >= this.#settings.maxOrigins && !this.#evict()) return undefined;
    const origin = this.#create(name, url);
    this.#byName.set(name, origin);
    return origin;
  }

  #create(name: string, url: URL): Origin {
    const { clock, circuitBreaker, maxConcurrent, maxQueueSize } = this.#settings;
    const circuit = createCircuitBreaker({ ...circuitBreaker, name, clock });
    if (circuitBreaker === false) circuit.observe();
    return {
      name,
      circuit,
      // Its own limit is never the first: the deadline of the call is shorter.
      bulkhead: createBulkhead({
        name,
        clock,
        maxConcurrent,
        maxQueueSize,
        queueTimeoutMs: LONGEST_MS,
      }),
      source: this.#openSource(url),
    };
  }

  #evict(): boolean {
    for (const [name, { bulkhead, source }] of this.#byName) {
      const { activeCount, queuedCount } = bulkhead.getStats();
      if (activeCount + queuedCount > 0 || source.inUse) continue;
      this.#byName.delete(name);
      source.close(new Error('evicted'));
      return true;
    }
    return false;
  }

  *[Symbol.iterator](): Generator<Origin> {
    yield* this.#byName.values();
  }

  stats(): FetchOriginStats[] {
    return [...this].map(({ name, circuit, bulkhead, source }) => {
      const { activeCount, queuedCount } = bulkhead.getStats();
      const kept = source.stats();
      const own = { origin: name, activeCount, queuedCount, circuit: circuit.getStats() };
      return Object.assign(own, kept);
    });
  }

  close(reason: Error): void {
    for (const { bulkhead, source } of this) {
      void bulkhead.close();
      source.close(reason);
    }
  }
}
