/**
 * What the service promises:
 *
 * - Every answer of the catalog says where it is from, how old it is, and whether it is stale or incomplete.
 * - An answer takes `requestTimeoutMs` at most; a request that is not answered gets a problem (RFC 9457) that says why.
 * - Bound: connections, clients of `/events`, the size of requests, and what waits for a client that does not read.
 */
import type { Clock } from '@holdfast/foundation';
import type { DurationCounts } from '@holdfast/foundation/metrics';
import type { FastifyInstance } from 'fastify';
import type { Registry } from 'prom-client';
import type { Source } from '../catalog.ts';
import type { Catalog } from '../serving/served-catalog.ts';

/** Options of {@link createCatalogService}. All times in milliseconds. */
export interface CatalogServiceOptions {
  /** Stays open when the service is closed. */
  readonly catalog: Pick<Catalog, 'search' | 'get' | 'status'>;
  /** How long the catalog may take for one request, and a client to send it. Default 10 000. */
  readonly requestTimeoutMs?: number;
  /** What `Retry-After` says where the error does not. Default 5 000. */
  readonly retryAfterMs?: number;
  /** Connections at a time; more are closed at once. Default 1 000. */
  readonly maxConnections?: number;
  /** Clients of `/events` at a time; more get a 503. Default 100. */
  readonly maxEventClients?: number;
  /** How often the status is looked at for the clients of `/events`. Default 500. */
  readonly eventIntervalMs?: number;
  /** How long running requests may take to end in `close`. Default 10 000. */
  readonly closeTimeoutMs?: number;
  /** What `/metrics` writes. Default: one of its own, without the metrics of the process. */
  readonly registry?: Registry;
  /** The source of time. Default: the system clock. */
  readonly clock?: Clock;
}

/** Where a service listens. */
export interface CatalogListenOptions {
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default: any free port. */
  readonly port?: number;
}

/** What a service has answered since it was made. */
export interface CatalogServiceStats {
  /** Answers of the catalog by their tier. */
  readonly answers: { readonly [source in Source]: number };
  /** Of these, stale ones. */
  readonly staleAnswers: number;
  /** Requests by what they got: 2xx and 3xx, 4xx, 503, other 5xx. */
  readonly requests: {
    readonly ok: number;
    readonly refused: number;
    readonly unavailable: number;
    readonly failed: number;
  };
  /** Until the response was written; without those of `/events`. */
  readonly durations: DurationCounts;
  readonly eventClients: number;
}

/** The HTTP API of a catalog. */
export interface CatalogService {
  /** For hooks and routes of your own before `listen`, and for `inject` in tests. */
  readonly app: FastifyInstance;
  /** Resolves with the URL. @throws the system's own error when it cannot listen */
  listen(options?: CatalogListenOptions): Promise<string>;
  getStats(): CatalogServiceStats;
  /** Takes no more requests, ends `/events`, lets running requests end, and closes what is left. The catalog stays open. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}
