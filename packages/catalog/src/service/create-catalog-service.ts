import {
  type Clock,
  type ResolvedOptions,
  integer,
  objectWith,
  optional,
  parseOptions,
  requireNode,
  settlesWithin,
  string,
  systemClock,
} from '@holdfast/foundation';
import { publishToPrometheus } from '@holdfast/foundation/prometheus';
import { type FastifyInstance, fastify } from 'fastify';
import { Registry } from 'prom-client';
import type {
  CatalogListenOptions,
  CatalogService,
  CatalogServiceOptions,
  CatalogServiceStats,
} from './catalog-service.ts';
import { EventStream } from './event-stream.ts';
import { serviceCollector } from './metrics.ts';
import { RequestCounts } from './request-counts.ts';
import { addRoutes } from './routes.ts';
import { sendError } from './send-problem.ts';
import { statusBody } from './status-body.ts';

const OWNER = 'createCatalogService';
const HOUR_MS = 3_600_000;
/** Requests have no body. */
const BODY_LIMIT = 1_024;
/** A name in an address may have so many characters. */
const MAX_PARAM_LENGTH = 1_024;
/** A connection on which nothing comes or goes is closed. */
const IDLE_CONNECTION_MS = 60_000;
const KEEP_ALIVE_MS = 5_000;
/** How often requests that do not end are looked for. */
const MAX_CHECK_MS = 1_000;

const schema = {
  catalog: objectWith<CatalogServiceOptions['catalog']>(['search', 'get', 'status']),
  requestTimeoutMs: integer({ min: 1, max: HOUR_MS, default: 10_000 }),
  retryAfterMs: integer({ min: 1, max: HOUR_MS, default: 5_000 }),
  maxConnections: integer({ min: 1, max: 1_000_000, default: 1_000 }),
  maxEventClients: integer({ min: 0, max: 100_000, default: 100 }),
  eventIntervalMs: integer({ min: 10, max: HOUR_MS, default: 500 }),
  closeTimeoutMs: integer({ min: 0, max: HOUR_MS, default: 10_000 }),
  registry: optional(objectWith<Registry>(['registerMetric', 'metrics'])),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

const listenSchema = {
  host: string({ maxLength: 255, default: '127.0.0.1' }),
  port: integer({ min: 0, max: 65_535, default: 0 }),
};

/**
 * Makes the HTTP API of a catalog.
 * @throws InvalidOptionError; MetricsRegisteredError when the registry has metrics of its names
 */
export function createCatalogService(options: CatalogServiceOptions): CatalogService {
  requireNode(OWNER);
  return new FastifyService(parseOptions(OWNER, schema, options));
}

class FastifyService implements CatalogService {
  readonly app: FastifyInstance;
  readonly #settings: ResolvedOptions<typeof schema>;
  readonly #counts = new RequestCounts();
  readonly #events: EventStream;
  #closing: Promise<void> | undefined;

  constructor(settings: ResolvedOptions<typeof schema>) {
    this.#settings = settings;
    const { catalog, clock, requestTimeoutMs, registry = new Registry() } = settings;
    this.#events = new EventStream({
      read: () => statusBody(catalog.status()),
      maxClients: settings.maxEventClients,
      intervalMs: settings.eventIntervalMs,
      clock,
    });
    this.app = fastify({
      bodyLimit: BODY_LIMIT,
      connectionTimeout: IDLE_CONNECTION_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      requestTimeout: requestTimeoutMs,
      http: {
        requestTimeout: requestTimeoutMs,
        headersTimeout: requestTimeoutMs,
        connectionsCheckingInterval: Math.min(requestTimeoutMs, MAX_CHECK_MS),
      },
      forceCloseConnections: 'idle',
      // What still comes on a connection that is open is answered, and the connection closed.
      return503OnClosing: false,
      frameworkErrors: (error, _request, reply) => void sendError(error, reply, settings),
      routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    });
    this.app.server.maxConnections = settings.maxConnections;
    const unpublish = publishToPrometheus(OWNER, {
      registry,
      collectors: [
        serviceCollector(() => ({ service: this.getStats(), status: catalog.status() })),
      ],
      prefix: '',
    });
    this.app.addHook('preClose', async () => this.#events.close());
    this.app.addHook('onClose', async () => unpublish());
    addRoutes(this.app, { ...settings, registry, counts: this.#counts, events: this.#events });
  }

  async listen(options: CatalogListenOptions = {}): Promise<string> {
    const { host, port } = parseOptions('catalogService.listen', listenSchema, options);
    return this.app.listen({ host, port });
  }

  getStats(): CatalogServiceStats {
    return { ...this.#counts.read(), eventClients: this.#events.clients };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    const { clock, closeTimeoutMs } = this.#settings;
    const closed = this.app.close();
    if (!(await settlesWithin(clock, closeTimeoutMs, closed))) {
      this.app.server.closeAllConnections();
    }
    await closed;
  }
}
