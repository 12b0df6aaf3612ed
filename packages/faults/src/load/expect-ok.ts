import { HoldfastError, InvalidOptionError } from '@holdfast/foundation';

/** An HTTP client's response: `status` of `fetch`, axios and ky, `statusCode` of `node:http`, undici's `request` and got. */
export type StatusResponse =
  | { readonly status: number }
  | { readonly statusCode?: number | undefined };

/** A response has a status of an error. */
export class ResponseStatusError extends HoldfastError {
  readonly code = 'FAULTS_RESPONSE_STATUS';
  /** The HTTP status. */
  readonly status: number;

  constructor(status: number) {
    super(
      `expectOk: the response has status ${status}, not 200 to 299; look at the service, or do not call expectOk where that is right`,
      { retryable: isTransient(status), outcome: 'unknown' },
    );
    this.status = status;
  }
}

/**
 * Returns the response when its status is 200 to 299. A client that resolves for every status, such as `fetch`, would
 * make a load of nothing but 503 a success.
 * @throws ResponseStatusError, after the rest of the response is given up, so that its connection is free.
 */
export function expectOk<Response extends StatusResponse>(response: Response): Response {
  const status = statusOf(response);
  if (status >= 200 && status < 300) return response;
  discard(response);
  throw new ResponseStatusError(status);
}

function statusOf(response: StatusResponse): number {
  const status = 'status' in response ? response.status : response.statusCode;
  if (typeof status === 'number') return status;
  throw new InvalidOptionError(
    'expectOk',
    'response',
    response,
    'a response with status or statusCode',
  );
}

/** Gives up the body of a response of `fetch`, undici's `request` or `node:http`. */
function discard(response: object): void {
  const body: unknown = 'body' in response ? response.body : response;
  if (typeof body !== 'object' || body === null) return;
  if ('cancel' in body && typeof body.cancel === 'function') {
    const isLocked = 'locked' in body && body.locked === true;
    if (!isLocked) Promise.resolve(Reflect.apply(body.cancel, body, [])).catch(() => {});
  } else if ('resume' in body && typeof body.resume === 'function') {
    Reflect.apply(body.resume, body, []);
  }
}

/** Whether the same request may succeed later. */
function isTransient(status: number): boolean {
  return status === 408 || status === 429 || (status >= 500 && status !== 501 && status !== 505);
}
