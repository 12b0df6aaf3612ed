import { requireNode } from '@holdfast/foundation';
import {
  type CachedValue,
  type HealthState,
  type KeyedRateLimiters,
  RateLimitedError,
  type ResilienceStack,
  createKeyedRateLimiters,
  createResilienceStack,
} from '@holdfast/resilience';
import type { FastifyInstance } from 'fastify';
import type { Registry } from 'prom-client';
import { CoordinatesInvalidError, LookupFailedError, ServiceDegradedError } from '../errors.ts';
import type { LookupResult, LookupService } from '../lookup/lookup-service.ts';
import { type ShadowAtlasAPIOptions, parseApiOptions, parseListenOptions } from './api-options.ts';
import { createApp } from './routes.ts';
import type { LookupRequest, LookupResponse, ShadowAtlasStats } from './exchange.ts';
import { createMetrics } from './metrics.ts';

/**
 * The lookup of districts for clients. Each client has its own limit; all share one stack, so that a failing lookup is
 * neither repeated without end nor waited for. While it fails, the last answer for a position is served, marked stale.
 */
export class ShadowAtlasAPI {
  /** Replaceable; it runs within `resilience`. */
  lookupService: LookupService;
  /** The policies around the lookup: its health decides between 500 and 503. */
  readonly resilience: ResilienceStack;
  /** The limit of each client. */
  readonly clients: KeyedRateLimiters;
  /** The HTTP service: `/lookup`, `/districts`, `/health`, `/metrics`, and the map at `/`. */
  readonly app: FastifyInstance;
  readonly #snapshots = new Map<string, CachedValue<LookupResult>>();
  readonly #maxSnapshots: number;
  readonly #openMs: number;
  readonly #epochMs: () => number;
  readonly #registry: Registry;
  readonly #unpublish: () => void;
  #staleAnswers = 0;
  #closing: Promise<void> | undefined;

  /** @throws InvalidOptionError */
  constructor(options: ShadowAtlasAPIOptions = {}) {
    requireNode('ShadowAtlasAPI');
    const resolved = parseApiOptions(options);
    const { clock, circuitBreaker, retry, bulkhead, timeoutMs, maxStaleMs } = resolved;
    this.lookupService = resolved.lookupService;
    this.#maxSnapshots = resolved.maxSnapshots;
    this.#openMs = circuitBreaker.openDurationMs ?? 0;
    this.#epochMs = () => clock.epochMs();
    this.resilience = createResilienceStack({
      name: 'api-server',
      circuitBreaker,
      retry,
      bulkhead,
      timeoutMs,
      fallback: { maxStaleMs },
      clock,
    });
    this.clients = createKeyedRateLimiters({
      name: 'client',
      ...resolved.rateLimiter,
      maxKeys: resolved.maxClients,
      clock,
    });
    const metrics = createMetrics(this.resilience, () => this.getStats());
    this.#registry = metrics.registry;
    this.#unpublish = metrics.unpublish;
    this.app = createApp({
      lookup: (request) => this.handleLookup(request),
      within: (box, limit) => this.lookupService.within?.(box, limit) ?? [],
      health: () => this.getHealthState(),
      metrics: () => this.#registry.metrics(),
    });
  }

  /**
   * Looks a position up, within the client's limit.
   * @throws RateLimitedError (RATE_LIMIT_EXCEEDED), CoordinatesInvalidError, LookupFailedError, ServiceDegradedError, or
   * the signal's reason
   */
  async handleLookup({ lat, lon, clientId, signal }: LookupRequest): Promise<LookupResponse> {
    const limiter = this.clients.get(clientId);
    if (!limiter.tryAcquire()) {
      throw new RateLimitedError('client', 'Rate limit exceeded', limiter.retryAfterMs());
    }
    assertCoordinates(lat, lon);
    const key = `${lat},${lon}`;
    const outcome = await this.resilience.tryExecute(
      'district-lookup',
      (within) => this.lookupService.lookup(lat, lon, { signal: within }),
      { cachedValue: this.#snapshots.get(key), signal },
    );
    switch (outcome.kind) {
      case 'value':
        this.#keep(key, outcome.value);
        return { status: 200, result: outcome.value, stale: false, ageMs: 0 };
      case 'substitute':
        if (outcome.source !== 'stale') throw new LookupFailedError(outcome.error);
        this.#staleAnswers += 1;
        return { status: 200, result: outcome.value, stale: true, ageMs: outcome.ageMs };
      case 'aborted':
        throw outcome.reason;
      case 'failure':
      case 'refused':
    }
    throw this.#failureOf(outcome.error);
  }

  /** Whether lookups get through, with reasons. */
  getHealthState(): HealthState {
    return this.resilience.getHealthState();
  }

  /** What it has counted. */
  getStats(): ShadowAtlasStats {
    return {
      stack: this.resilience.getStats(),
      clients: this.clients.getStats(),
      staleAnswers: this.#staleAnswers,
      snapshots: this.#snapshots.size,
    };
  }

  /**
   * Serves on `host` (127.0.0.1) and `port` (any free one).
   * @returns its URL
   * @throws InvalidOptionError; the system's own error when it cannot listen
   */
  async listen(options: { host?: string; port?: number } = {}): Promise<string> {
    return this.app.listen(parseListenOptions(options));
  }

  /** Answers what has begun, and ends. Calling it twice does nothing more. */
  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    await this.app.close();
    await this.resilience.close({ drain: true });
    await this.clients.close();
    this.#unpublish();
  }

  #failureOf(error: unknown): ServiceDegradedError | LookupFailedError {
    return this.getHealthState().level === 'critical'
      ? new ServiceDegradedError(error, retryAfterOf(error) ?? this.#openMs)
      : new LookupFailedError(error);
  }

  /** The oldest answers go first. */
  #keep(key: string, value: LookupResult): void {
    this.#snapshots.delete(key);
    if (this.#maxSnapshots === 0) return;
    for (const oldest of this.#snapshots.keys()) {
      if (this.#snapshots.size < this.#maxSnapshots) break;
      this.#snapshots.delete(oldest);
    }
    this.#snapshots.set(key, { value, timestamp: this.#epochMs() });
  }
}

const MAX_LATITUDE = 90;
const MAX_LONGITUDE = 180;

function assertCoordinates(lat: unknown, lon: unknown): void {
  const isValid =
    typeof lat === 'number' &&
    typeof lon === 'number' &&
    Math.abs(lat) <= MAX_LATITUDE &&
    Math.abs(lon) <= MAX_LONGITUDE;
  if (!isValid) throw new CoordinatesInvalidError();
}

function retryAfterOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('retryAfterMs' in error)) return undefined;
  return typeof error.retryAfterMs === 'number' ? error.retryAfterMs : undefined;
}
