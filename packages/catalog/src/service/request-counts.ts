import type { AnswerOrigin } from '../catalog.ts';
import type { CatalogServiceStats } from './catalog-service.ts';

/** From a memory hit to a fallback through all tiers. */
const BOUNDS_MS = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000] as const;

/** Counts requests and answers. */
export class RequestCounts {
  readonly #answers = { api: 0, cache: 0, database: 0, memory: 0, backup: 0 };
  readonly #requests = { ok: 0, refused: 0, unavailable: 0, failed: 0 };
  readonly #durations = Array.from({ length: BOUNDS_MS.length + 1 }, () => 0);
  #staleAnswers = 0;
  #sumMs = 0;
  #count = 0;

  recordAnswer({ source, stale }: AnswerOrigin): void {
    this.#answers[source] += 1;
    if (stale) this.#staleAnswers += 1;
  }

  recordRequest(status: number, durationMs: number): void {
    this.#requests[resultOf(status)] += 1;
    const at = BOUNDS_MS.findIndex((boundMs) => durationMs <= boundMs);
    const bucket = at === -1 ? BOUNDS_MS.length : at;
    this.#durations[bucket] = (this.#durations[bucket] ?? 0) + 1;
    this.#sumMs += durationMs;
    this.#count += 1;
  }

  read(): Omit<CatalogServiceStats, 'eventClients'> {
    return {
      answers: { ...this.#answers },
      staleAnswers: this.#staleAnswers,
      requests: { ...this.#requests },
      durations: {
        boundsMs: BOUNDS_MS,
        counts: [...this.#durations],
        sumMs: this.#sumMs,
        count: this.#count,
      },
    };
  }
}

function resultOf(status: number): keyof CatalogServiceStats['requests'] {
  if (status < 400) return 'ok';
  if (status < 500) return 'refused';
  return status === 503 ? 'unavailable' : 'failed';
}
