import { type Clock, sleep } from '@holdfast/foundation';
import { corruptedBytes } from './corruptions.ts';
import { injectedError } from './injected-error.ts';
import type { InjectedFault } from './injected-faults.ts';

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
      const response = await beforeRequest(fault, clock, signal);
      if (response !== undefined) return response;
    }
    let response = await base(input, init);
    for (const fault of faults) response = await damage(response, fault);
    return response;
  };
}

async function beforeRequest(
  { kind, fault, injection, random }: InjectedFault,
  clock: Clock,
  signal: AbortSignal | undefined,
): Promise<Response | void> {
  switch (kind) {
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

async function damage(response: Response, injected: InjectedFault): Promise<Response> {
  const { kind, fault, injection, random } = injected;
  const body = async () => new Uint8Array(await response.arrayBuffer());
  switch (kind) {
    case 'partial_failure': {
      const bytes = await body();
      const keptBytes = Math.floor(bytes.length * (1 - fault.lostShare));
      const failure = fetchFailed(injectedError(injection, fault.errorMessage));
      return withBody(response, truncated(bytes.subarray(0, keptBytes), failure));
    }
    case 'malformed_response': {
      const bytes = await body();
      return withBody(response, bytes.subarray(0, bytes.length >> 1));
    }
    case 'data_corruption':
      return withBody(response, corruptedBytes(await body(), random));
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
