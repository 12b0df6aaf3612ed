import {
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse,
  request as ask,
} from 'node:http';
import { pipeline } from 'node:stream/promises';
import { type Clock, sleep } from '@holdfast/foundation';
import { resetSocket } from '../proxy/reset-socket.ts';
import type { HttpFaultKind, ResolvedHttpFault } from './http-faults.ts';

/** The faults that strike one request. */
export type Struck = ReadonlyMap<HttpFaultKind, ResolvedHttpFault>;

export interface ExchangeSurroundings {
  readonly target: { readonly host: string; readonly port: number };
  readonly clock: Clock;
  /** A body is held whole only to break it, and never more of it than this. */
  readonly maxBodyBytes: number;
}

/** What concerns one connection only, and is not passed on (RFC 9110, section 7.6.1). */
const hopByHop = new Set(['connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'te']);

/** Answers one request, as the faults have it. Rejects when the client or the server went away. */
export async function faultyExchange(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  struck: Struck,
  { target, clock, maxBodyBytes }: ExchangeSurroundings,
): Promise<void> {
  const gone = new AbortController();
  outgoing.once('close', () => gone.abort());
  const { signal } = gone;
  const delay = struck.get('delay');
  if (delay !== undefined) await sleep(clock, delay.delayMs, signal);
  if (answersItself(incoming, outgoing, struck)) return;

  const asked = ask({
    ...target,
    method: incoming.method,
    path: incoming.url,
    headers: passedOn(incoming.headers),
    agent: false,
    signal,
  });
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    asked.once('response', resolve);
    asked.once('error', reject);
  });
  // A server may answer before it has read the request; then only the answer counts.
  pipeline(incoming, asked).catch(() => {});
  const answer = await answered;
  const headers = passedOn(answer.headers);
  const wrong = struck.get('wrongContentType');
  if (wrong !== undefined) headers['content-type'] = wrong.contentType;
  const status = answer.statusCode ?? 502;

  const drip = struck.get('slowDrip');
  const reset = struck.get('resetBody');
  const truncated = reset ?? struck.get('truncatedBody');
  if (!struck.has('malformedBody') && truncated === undefined && drip === undefined) {
    outgoing.writeHead(status, headers);
    await pipeline(answer, outgoing);
    return;
  }
  let body = await bodyOf(answer, maxBodyBytes);
  if (struck.has('malformedBody')) body = body.subarray(0, body.length >> 1);
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

/** The faults that need no server. */
function answersItself(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  struck: Struck,
): boolean {
  const limit = struck.get('rateLimit');
  const status = struck.get('status');
  if (struck.has('reset')) {
    resetSocket(incoming.socket);
    return true;
  }
  if (struck.has('notHttp')) {
    incoming.resume();
    incoming.socket.end('+OK this is no HTTP\r\n');
    return true;
  }
  if (limit !== undefined) {
    outgoing.writeHead(429, { 'retry-after': String(limit.retryAfterSeconds) });
  } else if (status !== undefined) {
    outgoing.writeHead(status.status);
  } else if (struck.has('redirectLoop')) {
    outgoing.writeHead(302, { location: incoming.url ?? '/' });
  } else {
    return false;
  }
  incoming.resume();
  outgoing.end();
  return true;
}

function passedOn(headers: IncomingHttpHeaders): Record<string, string | string[]> {
  const passed: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined && !hopByHop.has(name)) passed[name] = value;
  }
  return passed;
}

async function bodyOf(answer: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of answer) {
    const bytes = Buffer.from(chunk);
    length += bytes.length;
    if (length > maxBytes) throw new RangeError(`a body of more than ${maxBytes} bytes`);
    chunks.push(bytes);
  }
  return Buffer.concat(chunks);
}
