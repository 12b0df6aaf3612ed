import { isHoldfastError, parseRetryAfter, systemClock } from '@holdfast/foundation';
import { AlertChannelError } from '../errors.ts';

/** The part of `fetch` that the channels use. */
export type AlertFetch = (
  url: string,
  init: {
    readonly method: 'POST';
    readonly headers: Readonly<Record<string, string>>;
    readonly body: string;
    readonly redirect: 'error';
    readonly signal: AbortSignal;
  },
) => Promise<Response>;

/** One request of a channel. */
interface AlertRequest {
  /** The name for errors: the address may be the secret itself. */
  readonly channel: string;
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: unknown;
  readonly signal: AbortSignal;
}

const REQUEST_TIMEOUT = 408;
const TOO_EARLY = 425;
const TOO_MANY_REQUESTS = 429;
const SERVER_ERROR = 500;

/**
 * Posts JSON. A refusal that a repetition cannot change (a wrong key, a wrong body) is not retryable.
 * @throws AlertChannelError, the signal's own reason
 */
export async function postAlert(send: AlertFetch, request: AlertRequest): Promise<void> {
  const { channel, url, headers, body, signal } = request;
  let response: Response;
  try {
    response = await send(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
      redirect: 'error',
      signal,
    });
  } catch (cause) {
    if (signal.aborted || isHoldfastError(cause)) throw cause;
    throw new AlertChannelError(channel, 'the receiver cannot be reached', {
      retryable: true,
      cause,
    });
  }
  // The body is not needed, and an unread one holds its connection.
  await response.body?.cancel();
  if (response.ok) return;
  const { status } = response;
  const isTemporary =
    status >= SERVER_ERROR || [REQUEST_TIMEOUT, TOO_EARLY, TOO_MANY_REQUESTS].includes(status);
  const header = response.headers.get('retry-after');
  const retryAfterMs = header === null ? undefined : parseRetryAfter(header, systemClock.epochMs());
  throw new AlertChannelError(channel, `the receiver answered ${status}`, {
    retryable: isTemporary,
    status,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  });
}
