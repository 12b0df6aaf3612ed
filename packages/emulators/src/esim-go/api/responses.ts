import { type BodyPieces, firstHalf, malformedPieces } from './body.ts';
import type { EsimGoFault } from './faults.ts';

/** What a transport has to do for a request. */
export interface EsimGoResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** To be read once. */
  readonly body: BodyPieces;
  /** The delay before the response. */
  readonly delayMs: number;
  /** `silent`: none is sent. `reset`: the connection is reset instead. `cut`: it is reset after the body. */
  readonly delivery: 'whole' | 'silent' | 'reset' | 'cut';
}

const json = { 'content-type': 'application/json' };
const RATE_LIMITED = 'Rate limit exceeded';
const outages = [
  [500, 'Internal server error'],
  [502, 'Bad gateway'],
  [503, 'Processing, please come back later'],
] as const;

/** @param drawn from 0 to 1. */
export function outageResponse(drawn: number): EsimGoResponse {
  const [status, message] = outages[Math.floor(drawn * outages.length)] ?? outages[0];
  return errorResponse(status, message, status === 503 ? 1 : undefined);
}

/** The response to a request over the limit. */
export function rateLimitedResponse(retryAfterS: number): EsimGoResponse {
  return errorResponse(429, RATE_LIMITED, retryAfterS);
}

/** The response of a fault that does not depend on the request. */
export function responseInstead(fault: EsimGoFault): EsimGoResponse | undefined {
  if (fault.kind === 'silent') return { ...nothing, delivery: 'silent' };
  if (fault.kind === 'reset' && fault.when !== 'during') return { ...nothing, delivery: 'reset' };
  if (fault.kind === 'status') {
    const { status } = fault;
    const usual = status === 429 ? RATE_LIMITED : 'An injected fault';
    const retryAfterS = fault.retryAfterS ?? (status === 429 ? 1 : undefined);
    return errorResponse(status, fault.message ?? usual, retryAfterS);
  }
  if (fault.kind !== 'response') return undefined;
  const { status, headers = {}, body } = fault;
  const text = typeof body === 'string' ? body : (JSON.stringify(body) ?? '');
  return { ...nothing, status, headers: { ...json, ...headers }, body: [text] };
}

/** The response with this body, under a fault of its delivery. */
export function deliver(body: BodyPieces, fault: EsimGoFault | undefined): EsimGoResponse {
  const response = { status: 200, headers: json, body };
  if (fault?.kind === 'slow') return { ...nothing, ...response, delayMs: fault.delayMs };
  if (fault?.kind === 'reset') {
    return { ...nothing, ...response, body: firstHalf(body), delivery: 'cut' };
  }
  if (fault?.kind !== 'malformed') return { ...nothing, ...response };
  const [type, malformed] = malformedPieces(body, fault);
  return { ...nothing, status: 200, headers: { 'content-type': type }, body: malformed };
}

const nothing: EsimGoResponse = {
  status: 0,
  headers: {},
  body: [],
  delayMs: 0,
  delivery: 'whole',
};

export function errorResponse(
  status: number,
  message: string,
  retryAfterS?: number,
): EsimGoResponse {
  const retryAfter = retryAfterS === undefined ? {} : { 'Retry-After': String(retryAfterS) };
  const body = [JSON.stringify({ message })];
  return { ...nothing, status, headers: { ...json, ...retryAfter }, body };
}

/** Optional fields are null for some groups, as in answers of the API. */
export function groupsBody(names: readonly string[]): string {
  const groups = names.map((name, at) => ({
    name,
    desc: at % 2 === 0 ? `${name} bundles` : null,
    priceListUrl: null,
    icon: null,
  }));
  return JSON.stringify({ groups });
}
