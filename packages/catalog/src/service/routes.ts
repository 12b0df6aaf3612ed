import { type Clock, abortable, withDeadline } from '@holdfast/foundation';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Registry } from 'prom-client';
import type { CatalogQuery } from '../catalog.ts';
import { type ParsedQuery, parseQueryString } from '../search/query/parse-query.ts';
import type { CatalogAnswer } from '../serving/served-catalog.ts';
import type { CatalogServiceOptions } from './catalog-service.ts';
import { CatalogRequestTimeoutError } from './errors.ts';
import type { EventStream } from './event-stream.ts';
import { openApiDocument } from './openapi.ts';
import { originHeaders } from './origin-headers.ts';
import { CONTENT_SECURITY_POLICY, PAGE } from './page/page.ts';
import { problem } from './problem.ts';
import type { RequestCounts } from './request-counts.ts';
import { inSeconds, sendError, sendProblem } from './send-problem.ts';
import { statusBody } from './status-body.ts';

interface RoutesDeps {
  readonly catalog: CatalogServiceOptions['catalog'];
  readonly requestTimeoutMs: number;
  readonly retryAfterMs: number;
  readonly clock: Clock;
  readonly registry: Registry;
  readonly counts: RequestCounts;
  readonly events: EventStream;
}

const HEALTH_TYPE = 'application/health+json';

export function addRoutes(app: FastifyInstance, deps: RoutesDeps): void {
  addHooks(app, deps);
  addCatalogRoutes(app, deps);
  addStateRoutes(app, deps);
  app.get('/openapi.json', async () => openApiDocument);
  app.get('/', async (_request, reply) => {
    reply.header('content-security-policy', CONTENT_SECURITY_POLICY);
    return reply.type('text/html; charset=utf-8').send(PAGE);
  });
}

function addCatalogRoutes(app: FastifyInstance, deps: RoutesDeps): void {
  const { catalog, counts } = deps;
  app.get('/bundles', async (request, reply) => {
    const query = parseQueryString(parametersOf(request));
    const answer = await call(reply, deps, (signal) => catalog.search(given(query), { signal }));
    counts.recordAnswer(answer.origin);
    const { offset, limit } = query;
    const end = offset + answer.rows.length;
    if (answer.rows.length > 0 && end < answer.total) reply.header('link', nextLink(request, end));
    return reply.headers(originHeaders(answer.origin)).send(listBody(answer, offset, limit));
  });
  app.get<{ Params: { name: string } }>('/bundles/:name', async (request, reply) => {
    const { name } = request.params;
    const answer = await call(reply, deps, (signal) => catalog.get(name, { signal }));
    counts.recordAnswer(answer.origin);
    const { bundle, origin } = answer;
    reply.headers(originHeaders(origin));
    if (bundle !== undefined) return reply.send({ origin, bundle });
    const detail = 'the generation has no bundle of this name; case counts';
    return sendProblem(reply, problem(404, detail, 'CATALOG_BUNDLE_UNKNOWN'));
  });
}

function addStateRoutes(app: FastifyInstance, deps: RoutesDeps): void {
  const { catalog, registry, events, retryAfterMs } = deps;
  app.get('/status', async (_request, reply) => {
    const status = catalog.status();
    if (status.origin !== undefined) reply.headers(originHeaders(status.origin));
    return reply.header('cache-control', 'no-store').send(statusBody(status));
  });
  app.get('/health/live', async (_request, reply) =>
    reply.header('cache-control', 'no-store').type(HEALTH_TYPE).send({ status: 'pass' }),
  );
  app.get('/health/ready', async (_request, reply) => {
    const { origin, health, notes } = catalog.status();
    if (origin !== undefined) reply.headers(originHeaders(origin));
    reply.header('cache-control', 'no-store').type(HEALTH_TYPE);
    if (health === 'fail') reply.code(503).header('retry-after', inSeconds(retryAfterMs));
    return reply.send({ status: health, notes });
  });
  app.get('/metrics', async (_request, reply) =>
    reply.type(registry.contentType).send(await registry.metrics()),
  );
  app.get('/events', { exposeHeadRoute: false }, (_request, reply) => {
    events.assertRoom();
    reply.hijack();
    reply.raw.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      // Proxies of nginx would wait for more.
      'x-accel-buffering': 'no',
    });
    events.add(reply.raw);
  });
}

function addHooks(app: FastifyInstance, deps: RoutesDeps): void {
  app.addHook('onRequest', async (_request, reply) => {
    reply.headers({ 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' });
  });
  let isClosing = false;
  app.addHook('preClose', async () => {
    isClosing = true;
  });
  app.addHook('onSend', async (_request, reply) => {
    // An answer that was under way would otherwise leave a connection that closing waits for.
    if (isClosing) reply.header('connection', 'close');
  });
  app.addHook('onResponse', async (request, reply) => {
    if (request.routeOptions.url === '/events' && reply.statusCode === 200) return;
    deps.counts.recordRequest(reply.statusCode, reply.elapsedTime);
  });
  app.setErrorHandler(async (error, _request, reply) => sendError(error, reply, deps));
  app.setNotFoundHandler(async (request, reply) => {
    if (request.method === 'GET' || request.method === 'HEAD') {
      const detail = 'there is nothing at this address; /openapi.json lists what there is';
      return sendProblem(reply, problem(404, detail, 'HTTP_NOT_FOUND'));
    }
    reply.header('allow', 'GET, HEAD');
    const detail = 'the catalog is only read over HTTP: use GET';
    return sendProblem(reply, problem(405, detail, 'HTTP_METHOD_NOT_ALLOWED'));
  });
}

/** A call of the catalog, which ends with its time or when the client has gone. */
async function call<T>(
  reply: FastifyReply,
  { clock, requestTimeoutMs }: RoutesDeps,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const gone = new AbortController();
  const abort = (): void => gone.abort(new Error('the client has gone'));
  reply.raw.once('close', abort);
  try {
    const late = (): Error => new CatalogRequestTimeoutError(requestTimeoutMs);
    return await withDeadline(clock, requestTimeoutMs, gone.signal, late, (signal) =>
      abortable(work(signal), signal),
    );
  } finally {
    reply.raw.off('close', abort);
  }
}

function parametersOf({ url }: FastifyRequest): URLSearchParams {
  const at = url.indexOf('?');
  return new URLSearchParams(at === -1 ? '' : url.slice(at + 1));
}

/** The query without what was left out. */
function given(query: ParsedQuery): CatalogQuery {
  return Object.fromEntries(Object.entries(query).filter(([, value]) => value !== undefined));
}

function nextLink(request: FastifyRequest, offset: number): string {
  const parameters = parametersOf(request);
  parameters.set('offset', String(offset));
  return `<?${parameters.toString()}>; rel="next"`;
}

function listBody(
  { origin, total, rows, facets }: CatalogAnswer,
  offset: number,
  limit: number,
): object {
  // The place of the document says nothing to a client.
  const bundles = rows.map(({ document: _place, ...row }) => row);
  return { origin, total, offset, limit, bundles, facets };
}
