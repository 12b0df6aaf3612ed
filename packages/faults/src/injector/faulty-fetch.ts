import type { Clock } from '@holdfast/foundation';
import { beforeCall } from './before-call.ts';
import { corruptedBytes } from './corruptions.ts';
import { injectedError } from './injected-error.ts';
import type { InjectedFault, ResolvedInjectedFault } from './injected-faults.ts';

/** The type of `fetch`. */
export type Fetch = typeof globalThis.fetch;

/** Wraps a `fetch` so that faults appear as they do in HTTP. */
export function faultyFetch(
  base: Fetch,
  draw: () => readonly InjectedFault[],
  clock: Clock,
): Fetch {
  return async (input, init) => {
    const signal = init?.signal ?? (isRequest(input) ? input.signal : undefined);
    signal?.throwIfAborted();
    const faults = draw();
    for (const fault of faults) {
      const error = await beforeCall(fault, clock, signal);
      if (error === undefined) continue;
      if (fault.kind === 'rate_limit') return rateLimited(fault.fault);
      throw fetchFailed(error);
    }
    let response = await base(input, init);
    for (const fault of faults) response = await damage(response, fault);
    return response;
  };
}

/** Returns the response of a rate limit in place of a request. */
function rateLimited({ errorMessage, retryAfterMs }: ResolvedInjectedFault): Response {
  return new Response(errorMessage, {
    status: 429,
    statusText: 'Too Many Requests',
    headers: { 'retry-after': String(Math.ceil(retryAfterMs / 1_000)) },
  });
}

async function damage(response: Response, injected: InjectedFault): Promise<Response> {
  const { kind, fault, injection, random } = injected;
  const body = async () => new Uint8Array(await response.arrayBuffer());
  if (kind === 'malformed_response') {
    const bytes = await body();
    return withBody(response, bytes.subarray(0, bytes.length >> 1));
  }
  if (kind === 'data_corruption') return withBody(response, corruptedBytes(await body(), random));
  if (kind !== 'partial_failure') return response;
  const bytes = await body();
  const keptBytes = Math.floor(bytes.length * (1 - fault.lostShare));
  const failure = fetchFailed(injectedError(injection, fault.errorMessage));
  return withBody(response, truncated(bytes.subarray(0, keptBytes), failure));
}

type Body = ConstructorParameters<typeof Response>[0];

/** Returns a response with the same status and headers, without the length. */
function withBody(response: Response, body: Body): Response {
  const { status, statusText } = response;
  const headers = new Headers(response.headers);
  headers.delete('content-length');
  return new Response(body, { status, statusText, headers });
}

/** A URL or a string has no signal. */
function isRequest(input: Parameters<Fetch>[0]): input is Request {
  return typeof input === 'object' && 'signal' in input;
}

/** Returns a body that fails after its bytes, as a broken connection does. */
function truncated(bytes: Uint8Array, failure: Error): ReadableStream<Uint8Array> {
  let isSent = bytes.length === 0;
  return new ReadableStream({
    pull(controller) {
      if (isSent) controller.error(failure);
      else controller.enqueue(bytes);
      isSent = true;
    },
  });
}

/** Wraps an error as undici does: a TypeError with the reason as its cause. */
function fetchFailed(cause: Error): Error {
  return new TypeError('fetch failed', { cause });
}
