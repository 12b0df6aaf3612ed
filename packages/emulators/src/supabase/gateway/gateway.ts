import { type IncomingMessage, type Server, type ServerResponse, request } from 'node:http';
import { createHttpServer } from '../../serving/http-listener.ts';
import type { GatewayRoutes } from './settings.ts';

/** Headers that a proxy must not forward (RFC 9110, 7.6.1). */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'te',
  'trailer',
  'upgrade',
  'proxy-connection',
]);

/**
 * The gateway of a Supabase: it strips a path prefix and forwards the request to the service of that prefix. It
 * checks no keys and caches nothing.
 */
export function createGateway(routes: GatewayRoutes): Server {
  return createHttpServer((incoming, outgoing) => {
    const { url = '/' } = incoming;
    const route = Object.entries(routes).find(([prefix]) => url.startsWith(`${prefix}/`));
    if (route !== undefined) forward(incoming, outgoing, ...route);
    else if (url === '/health') outgoing.writeHead(200).end();
    else sendMessage(outgoing, 404, 'no Route matched with those values');
  });
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
  sent.on('response', (response) => {
    outgoing.writeHead(response.statusCode ?? 502, endToEnd(response.headers));
    response.pipe(outgoing);
    // A failed response of the service fails the response to the client.
    response.on('error', () => outgoing.destroy());
  });
  sent.on('error', () => {
    if (outgoing.headersSent) outgoing.destroy();
    else sendMessage(outgoing, 502, 'An invalid response was received from the upstream server');
  });
  // When the client disconnects, the request to the service ends too.
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
