import { once } from 'node:events';
import {
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
  createServer,
} from 'node:http';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** A server of this process that listens on a port. */
export interface HttpListener {
  readonly host: string;
  readonly port: number;
  readonly url: string;
  /** Destroys every connection and stops listening. Idempotent. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface HttpResponse {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** A stream needs a `content-length` in the headers. */
  readonly body?: string | Readable;
}

/** Longer than clients keep an idle connection, so that the server never closes one that a client is about to use. */
const KEEP_ALIVE_MS = 120_000;

/** An HTTP server without a limit on the time of a request: a test may freeze an upload for any time. */
export function createHttpServer(listener: RequestListener): Server {
  return createServer({ keepAliveTimeout: KEEP_ALIVE_MS, requestTimeout: 0 }, listener);
}

/** Serves requests by `handler`, which is closed with the server. */
export async function listen(
  handler: {
    serve(message: IncomingMessage, response: ServerResponse): void;
    close(): void;
  },
  { host, port }: { readonly host: string; readonly port: number },
): Promise<HttpListener> {
  const server = createHttpServer((message, response) => handler.serve(message, response));
  server.listen({ host, port });
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('not a TCP address');
  const closeNow = async (): Promise<void> => {
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
    handler.close();
  };
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => (closed ??= closeNow());
  const url = `http://${host}:${address.port}`;
  return { host, port: address.port, url, close, [Symbol.asyncDispose]: close };
}

/** Sends a response. Rejects when the connection, or the stream of the body, fails before its end. */
export async function sendResponse(
  { status, headers = {}, body = '' }: HttpResponse,
  message: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  // Discards the rest of the request, so that the client can read the response.
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
