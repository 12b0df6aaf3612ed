import type { IncomingMessage } from 'node:http';
import { type Clock, sleep } from '@holdfast/foundation';
import type { HttpResponse } from './http-listener.ts';

/** Responds with this status and code. */
export interface ErrorFault {
  readonly kind: 'error';
  readonly status: number;
  readonly code: string;
  /** Sent as Retry-After, in seconds. */
  readonly retryAfterS?: number;
  /** `after`: the operation is executed first, and its response is discarded. Default `before`. */
  readonly when?: 'before' | 'after';
}

/** A fault of one request. */
export type ServerFault =
  | ErrorFault
  /** Resets the connection without a response. */
  | { readonly kind: 'reset'; readonly when?: 'before' | 'after' }
  /** Delays the request, then handles it as usual. */
  | { readonly kind: 'delay'; readonly delayMs: number };

/** A request as a fault hook sees it. */
export interface ServerCall {
  /** The API's name for it, such as `PutObject` or `upload`. */
  readonly operation: string;
  /** Empty for an operation without a bucket. */
  readonly bucket: string;
  readonly key: string;
}

/** Called for each request before it is handled; `undefined` injects no fault. */
export type FaultHook = (call: ServerCall) => ServerFault | undefined;

/**
 * Handles a request under its fault. Resolves with `undefined` when the fault reset the connection.
 * @param run handles the request without a fault.
 * @param toResponse the response of an error fault.
 */
export async function runWithFault(
  fault: ServerFault | undefined,
  message: IncomingMessage,
  clock: Clock,
  run: () => Promise<HttpResponse>,
  toResponse: (fault: ErrorFault) => HttpResponse,
): Promise<HttpResponse | undefined> {
  if (fault?.kind === 'delay') await stall(fault.delayMs, message, clock);
  if (fault === undefined || fault.kind === 'delay') return run();
  if (fault.when === 'after') {
    const { body } = await run();
    if (body !== undefined && typeof body !== 'string') body.destroy();
  }
  if (fault.kind === 'reset') {
    message.socket.resetAndDestroy();
    return undefined;
  }
  const { headers, ...rest } = toResponse(fault);
  const { retryAfterS } = fault;
  const retryAfter = retryAfterS === undefined ? {} : { 'retry-after': String(retryAfterS) };
  return { ...rest, headers: { ...headers, ...retryAfter } };
}

/** Waits for `delayMs`. Rejects when the client closes the connection first. */
export async function stall(
  delayMs: number,
  { socket }: IncomingMessage,
  clock: Clock,
): Promise<void> {
  const closed = new AbortController();
  const onClose = (): void => closed.abort(new Error('the client closed the connection'));
  socket.once('close', onClose);
  try {
    await sleep(clock, delayMs, closed.signal);
  } finally {
    socket.off('close', onClose);
  }
}
