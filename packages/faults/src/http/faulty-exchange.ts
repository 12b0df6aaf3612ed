import {
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse,
  request as sendRequest,
} from 'node:http';
import { pipeline } from 'node:stream/promises';
import { type Clock, sleep } from '@holdfast/foundation';
import { resetSocket } from '../proxy/reset-socket.ts';
import type { HttpFaultKind, ResolvedHttpFault } from './http-faults.ts';

/** The faults to inject into one request. */
type InjectedHttpFaults = ReadonlyMap<HttpFaultKind, ResolvedHttpFault>;

interface ExchangeDeps {
  readonly target: { readonly host: string; readonly port: number };
  readonly clock: Clock;
  /** A body is buffered only when a fault changes it, and up to this length. */
  readonly maxBodyBytes: number;
}

/** Header fields of one connection, which are not forwarded (RFC 9110, section 7.6.1). */
const hopByHop = new Set(['connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'te']);

/** Answers one request with the faults applied. Rejects when the client or the server closes. */
export async function faultyExchange(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  faults: InjectedHttpFaults,
  { target, clock, maxBodyBytes }: ExchangeDeps,
): Promise<void> {
  const closed = new AbortController();
  outgoing.once('close', () => closed.abort());
  const { signal } = closed;
  const delay = faults.get('delay');
  if (delay !== undefined) await sleep(clock, delay.delayMs, signal);
  if (answerWithoutServer(incoming, outgoing, faults)) return;

  const forwarded = sendRequest({
    ...target,
    method: incoming.method,
    path: incoming.url,
    headers: forwardedHeaders(incoming.headers),
    agent: false,
    signal,
  });
  const responded = new Promise<IncomingMessage>((resolve, reject) => {
    forwarded.once('response', resolve);
    forwarded.once('error', reject);
  });
  // A server may respond before it has read the request, so only the response counts.
  pipeline(incoming, forwarded).catch(() => {});
  const response = await responded;
  const headers = forwardedHeaders(response.headers);
  const wrong = faults.get('wrongContentType');
  if (wrong !== undefined) headers['content-type'] = wrong.contentType;
  const status = response.statusCode ?? 502;

  const drip = faults.get('slowDrip');
  const reset = faults.get('resetBody');
  const truncated = reset ?? faults.get('truncatedBody');
  if (!faults.has('malformedBody') && truncated === undefined && drip === undefined) {
    outgoing.writeHead(status, headers);
    await pipeline(response, outgoing);
    return;
  }
  let body = await readBody(response, maxBodyBytes);
  if (faults.has('malformedBody')) body = body.subarray(0, body.length >> 1);
  outgoing.writeHead(status, { ...headers, 'content-length': String(body.length) });
  if (truncated !== undefined)
    body = body.subarray(0, Math.floor(body.length * truncated.keptShare));
  const pieceBytes = drip?.dripBytes ?? Math.max(1, body.length);
  for (let from = 0; from < body.length; from += pieceBytes) {
    if (drip !== undefined && from > 0) await sleep(clock, drip.delayMs, signal);
    outgoing.write(body.subarray(from, from + pieceBytes));
  }
  if (truncated === undefined) outgoing.end();
  else if (reset === undefined) outgoing.socket?.destroySoon();
  else outgoing.write('', () => resetSocket(incoming.socket));
}

/** Applies the faults that need no server; returns whether one did. */
function answerWithoutServer(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  faults: InjectedHttpFaults,
): boolean {
  const limit = faults.get('rateLimit');
  const status = faults.get('status');
  if (faults.has('reset')) {
    resetSocket(incoming.socket);
    return true;
  }
  if (faults.has('notHttp')) {
    incoming.resume();
    incoming.socket.end('+OK this is no HTTP\r\n');
    return true;
  }
  if (limit !== undefined) {
    outgoing.writeHead(429, { 'retry-after': String(limit.retryAfterSeconds) });
  } else if (status !== undefined) {
    outgoing.writeHead(status.status);
  } else if (faults.has('redirectLoop')) {
    outgoing.writeHead(302, { location: incoming.url ?? '/' });
  } else {
    return false;
  }
  incoming.resume();
  outgoing.end();
  return true;
}

function forwardedHeaders(headers: IncomingHttpHeaders): Record<string, string | string[]> {
  const forwarded: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined && !hopByHop.has(name)) forwarded[name] = value;
  }
  return forwarded;
}

async function readBody(response: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response) {
    const bytes = Buffer.from(chunk);
    length += bytes.length;
    if (length > maxBytes) throw new RangeError(`the body is longer than ${maxBytes} bytes`);
    chunks.push(bytes);
  }
  return Buffer.concat(chunks);
}
