import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Clock, sleep } from '@holdfast/foundation';
import type { EsimGoApi } from './api/esim-go-api.ts';
import type { EsimGoResponse } from './api/responses.ts';

/** Serves an API over HTTP, without a port. */
interface EsimGoHandler {
  serve(message: IncomingMessage, response: ServerResponse): void;
  close(): void;
}

export function createEsimGoHandler(api: EsimGoApi, clock: Clock): EsimGoHandler {
  return {
    serve(message, response) {
      const { method = 'GET', url = '/', headers, socket } = message;
      const key = headers['x-api-key'];
      const answer = api.respond({
        method,
        path: url,
        apiKey: typeof key === 'string' ? key : undefined,
        address: socket.remoteAddress ?? '',
      });
      response.once('close', () => api.settle());
      // A connection that fails needs no report: its client sees it too.
      send(answer, message, response, clock).catch(() => void response.destroy());
    },
    close: () => {},
  };
}

/** Sends piece by piece, as fast as the client reads. Rejects when it disconnects. */
async function send(
  { status, headers, body, delayMs, delivery }: EsimGoResponse,
  message: IncomingMessage,
  response: ServerResponse,
  clock: Clock,
): Promise<void> {
  // Discards the request's body, so that the client can read the response.
  message.resume();
  const left = new AbortController();
  response.once('close', () => left.abort());
  const { signal } = left;
  if (delayMs > 0) await sleep(clock, delayMs, signal);
  if (delivery === 'silent') return;
  if (delivery === 'reset') {
    message.socket.resetAndDestroy();
    return;
  }
  response.writeHead(status, headers);
  const pieces = message.method === 'HEAD' ? [] : body;
  if (delivery === 'cut') {
    for (const piece of pieces) await writeOut(response, piece);
    message.socket.resetAndDestroy();
    return;
  }
  for (const piece of pieces) {
    if (!response.write(piece)) await once(response, 'drain', { signal });
  }
  response.end();
}

/** Resolves when the system has the piece, or the connection is gone; a reset would discard what it has not. */
function writeOut(response: ServerResponse, piece: string): Promise<void> {
  return new Promise((resolve) => response.write(piece, () => resolve()));
}
