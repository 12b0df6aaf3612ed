import { type FetchErrorDetails, RedirectRefusedError, type RedirectRefusal } from '../errors.ts';
import { isReplayable } from '../body/request-body.ts';
import { type FetchRequest, isHostname, isHttp, redirected } from './request.ts';

const REDIRECTS = new Set([301, 302, 303, 307, 308]);

export function isRedirect(status: number, headers: Headers): boolean {
  return REDIRECTS.has(status) && headers.has('location');
}

/**
 * What another origin may see. Any other header may be a secret: services name theirs as they like, such as
 * `X-API-Key`, so that a list of the secret ones is never complete.
 */
const HARMLESS = new Set([
  'accept',
  'accept-charset',
  'accept-encoding',
  'accept-language',
  'cache-control',
  'content-encoding',
  'content-language',
  'content-length',
  'content-type',
  'idempotency-key',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'pragma',
  'prefer',
  'range',
  'traceparent',
  'tracestate',
  'user-agent',
]);

/**
 * The request of the next hop.
 * @throws RedirectRefusedError
 */
export function followRedirect(
  request: FetchRequest,
  status: number,
  location: string,
  details: FetchErrorDetails,
): FetchRequest {
  const refuse = (reason: RedirectRefusal, explained: string): never => {
    throw new RedirectRefusedError(reason, `the redirect is not followed: ${explained}`, details);
  };
  const url = URL.canParse(location, request.url.href)
    ? new URL(location, request.url)
    : refuse('invalid-location', 'its location is no URL');
  if (!isHttp(url)) refuse('scheme', `it leads to ${url.protocol}`);
  if (request.url.protocol === 'https:' && url.protocol === 'http:') {
    refuse('insecure', 'it leads from https: to http:');
  }
  if (url.username !== '' || url.password !== '') {
    refuse('credentials', 'its location has credentials');
  }
  if (!isHostname(url.hostname) || url.port === '0') {
    refuse('invalid-location', 'its location has no valid host');
  }
  const method = methodAfter(status, request.method);
  if (method === request.method && !isReplayable(request.body)) {
    refuse(
      'body-not-replayable',
      'the body is a stream, which has been read; send bytes or a Blob',
    );
  }
  return redirected(request, url, method, headersAfter(request, url, method));
}

/** As browsers do it, and RFC 9110 allows. */
function methodAfter(status: number, method: string): string {
  if (status === 303) return method === 'HEAD' ? 'HEAD' : 'GET';
  return (status === 301 || status === 302) && method === 'POST' ? 'GET' : method;
}

function headersAfter(request: FetchRequest, url: URL, method: string): Headers {
  const isSameOrigin = url.origin === request.url.origin;
  const headers = new Headers();
  request.headers.forEach((value, name) => {
    const isOfBody = name.startsWith('content-') && method !== request.method;
    if (name === 'host' || isOfBody) return;
    if (isSameOrigin || HARMLESS.has(name)) headers.append(name, value);
  });
  return headers;
}
