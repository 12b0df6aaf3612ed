import type { Clock } from '@holdfast/foundation';
import { replacementError, replacementOf } from './before-call.ts';
import { StreamDamage, damagedWebStream } from './damage/damaged-stream.ts';
import { injectedError } from './injected-error.ts';
import type { InjectedFault, InjectedFaultKind, ResolvedInjectedFault } from './injected-faults.ts';
import type { LateAnswers } from './late-answers.ts';

/** The type of `fetch`. */
export type Fetch = typeof globalThis.fetch;

/** The collaborators of {@link faultyFetch}. */
interface FaultyFetchDeps {
  readonly draw: () => readonly InjectedFault[];
  readonly clock: Clock;
  readonly late: LateAnswers;
}

/** Wraps a `fetch` so that faults appear as they do in HTTP. */
export function faultyFetch(base: Fetch, { draw, clock, late }: FaultyFetchDeps): Fetch {
  return async (input, init) => {
    const signal = init?.signal ?? (isRequest(input) ? input.signal : undefined);
    signal?.throwIfAborted();
    const faults = draw();
    const answer = async (): Promise<Response> => {
      const replacement = replacementOf(faults);
      if (replacement?.kind === 'rate_limit') return rateLimited(replacement.fault);
      if (replacement !== undefined)
        throw fetchFailed(await replacementError(replacement, clock, signal));
      let response = await base(input, init);
      for (const fault of faults) response = damage(response, fault);
      return response;
    };
    return late.deliver(answer(), faults, { signal });
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

/** The faults that change what a call returns. */
export const damaging: ReadonlySet<InjectedFaultKind> = new Set([
  'malformed_response',
  'data_corruption',
  'partial_failure',
]);
/** Statuses whose responses have no body, and none can be made with one. */
const withoutBody = new Set([101, 103, 204, 205, 304]);

/** Damages the body as it is read, so that the head is there at once. */
function damage(response: Response, injected: InjectedFault): Response {
  const { kind, fault, injection } = injected;
  const { body, headers } = response;
  if (!damaging.has(kind) || body === null || withoutBody.has(response.status)) return response;
  injected.felt();
  const length = headers.has('content-encoding') ? null : headers.get('content-length');
  const failure = fetchFailed(injectedError(injection, fault.errorMessage));
  const totalBytes = length === null ? undefined : Number(length);
  return withBody(
    response,
    damagedWebStream(body, new StreamDamage(injected, totalBytes, failure)),
  );
}

/** Returns a response with the same status, headers and address, without the length. */
function withBody(response: Response, body: ReadableStream): Response {
  const { status, statusText, url, redirected, type } = response;
  const headers = new Headers(response.headers);
  headers.delete('content-length');
  const damaged = new Response(body, { status, statusText, headers });
  const kept = { url: { value: url }, redirected: { value: redirected }, type: { value: type } };
  return Object.defineProperties(damaged, kept);
}

/** A URL or a string has no signal. */
function isRequest(input: Parameters<Fetch>[0]): input is Request {
  return typeof input === 'object' && 'signal' in input;
}

/** Wraps an error as undici does: a TypeError with the reason as its cause. */
function fetchFailed(cause: Error): Error {
  return new TypeError('fetch failed', { cause });
}
