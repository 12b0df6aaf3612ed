import { hideCredentials, isHoldfastError } from '@holdfast/foundation';
import type { HealthState } from '@holdfast/resilience';
import { type FastifyInstance, type FastifyReply, fastify } from 'fastify';
import { CoordinatesInvalidError } from '../errors.ts';
import type { BoundingBox } from '../lookup/district-index.ts';
import type { DistrictLayer } from '../lookup/lookup-service.ts';
import { CONTENT_SECURITY_POLICY, PAGE } from './page/page.ts';
import type { LookupRequest, LookupResponse } from './exchange.ts';

interface AppDeps {
  readonly lookup: (request: LookupRequest) => Promise<LookupResponse>;
  readonly within: (box: BoundingBox, limit: number) => readonly DistrictLayer[];
  readonly health: () => HealthState;
  readonly metrics: () => Promise<string>;
}

/** Requests have no body. */
const BODY_LIMIT = 1_024;
const REQUEST_TIMEOUT_MS = 15_000;
const MAX_DRAWN = 500;
const STATUS: Readonly<Record<string, number>> = {
  INVALID_COORDINATES: 400,
  RATE_LIMIT_EXCEEDED: 429,
  SERVICE_DEGRADED: 503,
};

/** The HTTP routes of the API. */
export function createApp(deps: AppDeps): FastifyInstance {
  const app = fastify({
    bodyLimit: BODY_LIMIT,
    requestTimeout: REQUEST_TIMEOUT_MS,
    forceCloseConnections: 'idle',
    return503OnClosing: false,
  });
  app.setErrorHandler((error, _request, reply) => sendError(reply, error));
  app.get('/lookup', async (request, reply) => {
    const { lat, lon } = numbersIn(request.query);
    const { result, stale, ageMs } = await deps.lookup({ lat, lon, clientId: request.ip });
    // RFC 9111: what is older than it ought to be says so.
    if (stale) void reply.header('warning', '110 - "Response is Stale"');
    if (stale) void reply.header('age', String(Math.floor(ageMs / 1_000)));
    return reply.header('cache-control', 'no-store').send({ ...result, stale, ageMs });
  });
  app.get('/districts', (request, reply) => reply.send(districtsIn(deps, request.query)));
  app.get('/health', async (_request, reply) => {
    const { level, reasons } = deps.health();
    return reply.code(level === 'critical' ? 503 : 200).send({ level, reasons });
  });
  app.get('/metrics', async (_request, reply) =>
    reply.type('text/plain').send(await deps.metrics()),
  );
  app.get('/', async (_request, reply) =>
    reply
      .type('text/html; charset=utf-8')
      .header('content-security-policy', CONTENT_SECURITY_POLICY)
      .header('x-content-type-options', 'nosniff')
      .send(PAGE),
  );
  return app;
}

function districtsIn({ within }: AppDeps, query: unknown): object {
  const { west, south, east, north } = numbersIn(query);
  const box: BoundingBox = [west, south, east, north];
  if (!box.every(Number.isFinite)) throw new CoordinatesInvalidError();
  const features = within(box, MAX_DRAWN).flatMap((drawn) =>
    drawn.features.map((feature) => ({
      ...feature,
      properties: { ...feature.properties, state: drawn.state, layer: drawn.layer },
    })),
  );
  return { type: 'FeatureCollection', features };
}

/** What is no number is NaN, also an empty string. */
function numbersIn(
  query: unknown,
): Record<'lat' | 'lon' | 'west' | 'south' | 'east' | 'north', number> {
  const read = (name: string): number => {
    const value = Object.entries(query ?? {}).find(([key]) => key === name)?.[1];
    return typeof value === 'string' && value.trim() !== '' ? Number(value) : Number.NaN;
  };
  return {
    lat: read('lat'),
    lon: read('lon'),
    west: read('west'),
    south: read('south'),
    east: read('east'),
    north: read('north'),
  };
}

/** Clients get the code and the message of the API's own errors; their causes stay here. */
function sendError(reply: FastifyReply, error: unknown): FastifyReply {
  const isOwn = isHoldfastError(error);
  const status = (isOwn ? STATUS[error.code] : statusOf(error)) ?? 500;
  if (isOwn && error.retryAfterMs !== undefined) {
    void reply.header('retry-after', String(Math.max(1, Math.ceil(error.retryAfterMs / 1_000))));
  }
  const isServers = status === 500 && !isOwn;
  const code = isOwn ? error.code : status === 500 ? 'INTERNAL_ERROR' : 'INVALID_REQUEST';
  const said = error instanceof Error ? hideCredentials(error.message) : 'invalid';
  const message = isServers ? 'The lookup has failed' : said;
  return reply.code(status).header('cache-control', 'no-store').send({ error: { code, message } });
}

/** Of a request that Fastify itself refuses. */
function statusOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('statusCode' in error)) return undefined;
  return typeof error.statusCode === 'number' ? error.statusCode : undefined;
}
