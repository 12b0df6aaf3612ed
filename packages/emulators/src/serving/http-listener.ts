import { once } from 'node:events';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

interface HttpListener {
  readonly host: string;
  readonly port: number;
  readonly url: string;
  /** Ends every connection and stops listening. Calling it again changes nothing. */
  close(): Promise<void>;
}

/** What an HTTP server of ours sends back. */
export interface HttpResponse {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Its length stands in the headers when it is a stream. */
  readonly body?: string | Readable;
}

/** Longer than clients keep an idle connection, so that none is closed on them as they take it up. */
export const KEEP_ALIVE_MS = 120_000;

export async function listenOn(
  server: Server,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<HttpListener> {
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  // An upload may be frozen for as long as its test likes.
  server.requestTimeout = 0;
  server.listen({ host, port });
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('not a TCP address');
  let closed: Promise<void> | undefined;
  const closeNow = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return {
    host,
    port: address.port,
    url: `http://${host}:${address.port}`,
    close: () => (closed ??= closeNow()),
  };
}

/** Sends an answer; rejects when the connection, or the stream of the body, breaks before its end. */
export async function sendResponse(
  { status, headers = {}, body = '' }: HttpResponse,
  message: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  // What the client still sends is taken off the connection, so that it can read the answer.
  if (!message.readableEnded) message.resume();
  if (typeof body !== 'string') {
    response.writeHead(status, headers);
    await pipeline(body, response);
    return;
  }
  const isBare = status === 204 || status === 304 || 'content-length' in headers;
  const length = isBare ? {} : { 'content-length': String(Buffer.byteLength(body)) };
  response.writeHead(status, { ...headers, ...length });
  response.end(message.method === 'HEAD' ? undefined : body);
}
