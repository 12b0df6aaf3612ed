import {
  type IncomingMessage,
  type Server,
  type ServerResponse,
  createServer,
  request,
} from 'node:http';
import { KEEP_ALIVE_MS } from '../../serving/http-listener.ts';
import type { GatewayRoutes } from './settings.ts';

/** What a proxy must not pass on (RFC 9110, 7.6.1). */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'te',
  'trailer',
  'upgrade',
  'proxy-connection',
]);

/**
 * The way in that a Supabase has: each service behind a path of its own, which that service is not told of.
 * It passes on and adds nothing: no keys are checked, no answer is kept.
 */
export function createGateway(routes: GatewayRoutes): Server {
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS, requestTimeout: 0 });
  server.on('request', (incoming, outgoing) => {
    const { url = '/' } = incoming;
    const route = Object.entries(routes).find(([prefix]) => url.startsWith(`${prefix}/`));
    if (route !== undefined) forward(incoming, outgoing, ...route);
    else if (url === '/health') outgoing.writeHead(200).end();
    else sendMessage(outgoing, 404, 'no Route matched with those values');
  });
  return server;
}

function forward(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  prefix: string,
  service: string,
): void {
  const { method = 'GET', url = '/', headers } = incoming;
  const { hostname, port } = new URL(service);
  const sent = request({
    hostname,
    port,
    method,
    path: url.slice(prefix.length),
    headers: {
      ...endToEnd(headers),
      'x-forwarded-host': headers.host,
      'x-forwarded-prefix': prefix,
    },
  });
  sent.on('response', (answer) => {
    outgoing.writeHead(answer.statusCode ?? 502, endToEnd(answer.headers));
    answer.pipe(outgoing);
    // What breaks off behind it breaks off before it.
    answer.on('error', () => outgoing.destroy());
  });
  sent.on('error', () => {
    if (outgoing.headersSent) outgoing.destroy();
    else sendMessage(outgoing, 502, 'An invalid response was received from the upstream server');
  });
  // Who goes away before the answer is not waited for by the service either.
  outgoing.on('close', () => {
    if (!outgoing.writableFinished) sent.destroy();
  });
  incoming.on('error', () => sent.destroy());
  incoming.pipe(sent);
}

function endToEnd(headers: IncomingMessage['headers']): IncomingMessage['headers'] {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !HOP_BY_HOP.has(name)));
}

function sendMessage(outgoing: ServerResponse, status: number, message: string): void {
  outgoing.writeHead(status, { 'content-type': 'application/json' });
  outgoing.end(JSON.stringify({ message }));
}
