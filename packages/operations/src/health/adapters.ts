/** The probes in a server of your own. They answer only while the main thread turns; `serveHealth` also when not. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Health, ProbeAnswer, ProbeName } from './health.ts';

const probes: readonly (readonly [string, ProbeName])[] = [
  ['/livez', 'live'],
  ['/readyz', 'ready'],
  ['/startupz', 'startup'],
  ['/health', 'health'],
];
const byPath = new Map(probes);

/** For `node:http`: answers a probe and returns true, or returns false for every other request. */
export type HealthHandler = (request: IncomingMessage, response: ServerResponse) => boolean;

/** The probes at `/livez`, `/readyz`, `/startupz` and `/health`, for `node:http`. */
export function healthHandler(health: Pick<Health, 'answer'>): HealthHandler {
  return (request, response) => {
    const path = request.url?.split('?', 1)[0] ?? '';
    const probe = byPath.get(path);
    if (probe === undefined || (request.method !== 'GET' && request.method !== 'HEAD'))
      return false;
    const { statusCode, headers, body } = health.answer(probe);
    response.writeHead(statusCode, headers).end(request.method === 'HEAD' ? undefined : body);
    return true;
  };
}

/** For Express, Connect and Nest on Express: `app.use(healthMiddleware(health))`. */
export function healthMiddleware(
  health: Pick<Health, 'answer'>,
): (request: IncomingMessage, response: ServerResponse, next: () => void) => void {
  const handle = healthHandler(health);
  return (request, response, next) => {
    if (!handle(request, response)) next();
  };
}

/** What the plugin uses of a Fastify instance. */
interface FastifyRoutes {
  get(path: string, handler: (request: unknown, reply: FastifyReply) => unknown): unknown;
}

interface FastifyReply {
  code(statusCode: number): unknown;
  headers(headers: Record<string, string>): unknown;
  send(body: string): unknown;
}

/** For Fastify: `await app.register(healthPlugin(health))`. */
export function healthPlugin(
  health: Pick<Health, 'answer'>,
): (instance: FastifyRoutes) => Promise<void> {
  return async (instance) => {
    for (const [path, probe] of probes) {
      instance.get(path, (_request, reply) => {
        const { statusCode, headers, body }: ProbeAnswer = health.answer(probe);
        reply.code(statusCode);
        reply.headers({ ...headers });
        return reply.send(body);
      });
    }
  };
}

/** The result of an indicator of `@nestjs/terminus`. */
export type IndicatorResult = Readonly<
  Record<string, { readonly status: 'up' | 'down'; readonly degraded?: true }>
>;

/**
 * An indicator for `HealthCheckService.check` of `@nestjs/terminus`: one for each component, from what is known, so
 * that none of them can hang. A component that is not critical is never `down`.
 */
export function healthIndicators(health: Pick<Health, 'report'>): (() => IndicatorResult)[] {
  return health.report().components.map(({ name }) => () => {
    const component = health.report().components.find((known) => known.name === name);
    const isDown = component?.status === 'fail' && component.critical && !component.isFleetWide;
    if (component?.status === 'pass') return { [name]: { status: 'up' } };
    return { [name]: isDown ? { status: 'down' } : { status: 'up', degraded: true } };
  });
}
