import { type Clock, sleep } from '@holdfast/foundation';
import { corruptedBytes } from './corruptions.ts';
import { injectedError } from './injected-error.ts';
import type { DrawnFault } from './injected-faults.ts';

/** What `fetch` is. */
export type Fetch = typeof globalThis.fetch;

/** The faults in the words of HTTP: `fetch` never fails as a plain function does. */
export function faultyFetch(base: Fetch, draw: () => readonly DrawnFault[], clock: Clock): Fetch {
  return async (input, init) => {
    const signal = init?.signal ?? (isRequest(input) ? input.signal : undefined);
    signal?.throwIfAborted();
    const strokes = draw();
    for (const stroke of strokes) {
      const response = await beforeRequest(stroke, clock, signal);
      if (response !== undefined) return response;
    }
    let response = await base(input, init);
    for (const stroke of strokes) response = await brokenResponse(response, stroke);
    return response;
  };
}

async function beforeRequest(
  { fault, injection, random }: DrawnFault,
  clock: Clock,
  signal: AbortSignal | undefined,
): Promise<Response | void> {
  switch (injection.kind) {
    case 'network_delay':
      return sleep(clock, fault.latencyMs + random() * fault.jitterMs, signal);
    case 'timeout':
      await sleep(clock, fault.latencyMs, signal);
      throw fetchFailed(injectedError(injection, fault.errorMessage));
    case 'network_failure':
    case 'resource_exhaustion':
      throw fetchFailed(injectedError(injection, fault.errorMessage));
    case 'rate_limit':
      return new Response(fault.errorMessage, {
        status: 429,
        statusText: 'Too Many Requests',
        headers: { 'retry-after': String(Math.ceil(fault.retryAfterMs / 1_000)) },
      });
    case 'partial_failure':
    case 'malformed_response':
    case 'data_corruption':
      return;
  }
}

async function brokenResponse(response: Response, stroke: DrawnFault): Promise<Response> {
  const { fault, injection, random } = stroke;
  const body = async () => new Uint8Array(await response.arrayBuffer());
  switch (injection.kind) {
    case 'partial_failure': {
      const bytes = await body();
      const keptBytes = Math.floor(bytes.length * (1 - fault.lostShare));
      const failure = fetchFailed(injectedError(injection, fault.errorMessage));
      return like(response, brokenOff(bytes.subarray(0, keptBytes), failure));
    }
    case 'malformed_response': {
      const bytes = await body();
      return like(response, bytes.subarray(0, bytes.length >> 1));
    }
    case 'data_corruption':
      return like(response, corruptedBytes(await body(), random));
    case 'network_delay':
    case 'resource_exhaustion':
    case 'rate_limit':
    case 'network_failure':
    case 'timeout':
      break;
  }
  return response;
}

type Body = ConstructorParameters<typeof Response>[0];

/** The same head; a length that was stated no longer holds. */
function like(response: Response, body: Body): Response {
  const { status, statusText } = response;
  const headers = new Headers(response.headers);
  headers.delete('content-length');
  return new Response(body, { status, statusText, headers });
}

/** A URL or a string has no signal. */
function isRequest(input: Parameters<Fetch>[0]): input is Request {
  return typeof input === 'object' && 'signal' in input;
}

/** A body that gives its bytes and then fails, as when the connection breaks. */
function brokenOff(bytes: Uint8Array, failure: Error): ReadableStream<Uint8Array> {
  let isGiven = bytes.length === 0;
  return new ReadableStream({
    pull(controller) {
      if (isGiven) controller.error(failure);
      else controller.enqueue(bytes);
      isGiven = true;
    },
  });
}

/** Undici's own wrapping: a TypeError that says nothing, the reason as its cause. */
function fetchFailed(cause: Error): Error {
  return new TypeError('fetch failed', { cause });
}
