import {
  InvalidOptionError,
  type OptionRule,
  integer,
  number,
  parseOptions,
  string,
} from '@holdfast/foundation';
import { type CountedFault, countedShape, hidesLater } from '../fault-injector.ts';

/** Which requests a fault is injected into. */
export interface HttpFaultOptions {
  /** The share of the requests, 0 to 1, drawn for each. Default 1. */
  probability?: number;
  /** How many requests it is injected into. Default: no limit. */
  times?: number;
}

/** The options of each HTTP fault, by its kind. */
export interface HttpFaults {
  /** Delays the response by `delayMs`. */
  delay: HttpFaultOptions & { delayMs: number };
  /** Answers 429 with `Retry-After: retryAfterSeconds` (default 1) in place of the server. */
  rateLimit: HttpFaultOptions & { retryAfterSeconds?: number };
  /** Sends RST in place of a response. */
  reset: HttpFaultOptions;
  /** Sends bytes that are not HTTP in place of a response. */
  notHttp: HttpFaultOptions;
  /** Answers with this status in place of the server. */
  status: HttpFaultOptions & { status: number };
  /** Answers 302 to the request's own URL. */
  redirectLoop: HttpFaultOptions;
  /** Replaces the content type of the response; default `text/html`. */
  wrongContentType: HttpFaultOptions & { contentType?: string };
  /** Sends half of the body with a matching length. */
  malformedBody: HttpFaultOptions;
  /** Sends `keptShare` (default 0.5) of the body, then closes before the stated length. */
  truncatedBody: HttpFaultOptions & { keptShare?: number };
  /** Sends `keptShare` (default 0.5) of the body, then RST. */
  resetBody: HttpFaultOptions & { keptShare?: number };
  /** Sends the body in pieces of `dripBytes` (default 1), `delayMs` apart. */
  slowDrip: HttpFaultOptions & { delayMs: number; dripBytes?: number };
}

/** The name of a fault of HTTP. */
export type HttpFaultKind = keyof HttpFaults;

/** In the order in which a response meets them. */
export const httpFaultKinds: readonly HttpFaultKind[] = [
  'delay',
  'reset',
  'notHttp',
  'rateLimit',
  'status',
  'redirectLoop',
  'wrongContentType',
  'malformedBody',
  'truncatedBody',
  'resetBody',
  'slowDrip',
];

/** The faults that answer in place of the server. */
const answering: ReadonlySet<HttpFaultKind> = new Set([
  'reset',
  'notHttp',
  'rateLimit',
  'status',
  'redirectLoop',
]);
const afterAnswer = hidesLater(httpFaultKinds, (kind) => answering.has(kind));

/** Returns the faults that a request cannot feel when it feels this one. */
export function hiddenHttpFaults(kind: HttpFaultKind): readonly HttpFaultKind[] {
  return kind === 'resetBody' ? ['truncatedBody'] : afterAnswer(kind);
}

/** A fault's options with defaults applied; an option that its kind does not take is neutral. */
export interface ResolvedHttpFault extends CountedFault {
  readonly delayMs: number;
  readonly retryAfterSeconds: number;
  readonly status: number;
  readonly contentType: string;
  readonly keptShare: number;
  readonly dripBytes: number;
}

type Shape = { readonly [Name in keyof ResolvedHttpFault]?: OptionRule<ResolvedHttpFault[Name]> };

const neutral: ResolvedHttpFault = {
  probability: 1,
  times: 0,
  delayMs: 0,
  retryAfterSeconds: 0,
  status: 500,
  contentType: '',
  keptShare: 1,
  dripBytes: 1,
};
const keptShare = number({ min: 0, max: 1, default: 0.5 });
const delayMs = integer({ min: 0, max: 86_400_000 });

/** The options of each kind besides those of {@link countedShape}. */
const shapes: Readonly<Record<HttpFaultKind, Shape>> = {
  delay: { delayMs },
  rateLimit: { retryAfterSeconds: integer({ min: 0, max: 86_400, default: 1 }) },
  status: { status: integer({ min: 200, max: 599 }) },
  reset: {},
  notHttp: {},
  redirectLoop: {},
  wrongContentType: { contentType: string({ maxLength: 200, default: 'text/html' }) },
  malformedBody: {},
  truncatedBody: { keptShare },
  resetBody: { keptShare },
  slowDrip: { delayMs, dripBytes: integer({ min: 1, max: 1_073_741_824, default: 1 }) },
};

/** @throws InvalidOptionError, also for an unknown kind. */
export function parseHttpFault(kind: HttpFaultKind, options: unknown): ResolvedHttpFault {
  if (!Object.hasOwn(shapes, kind)) {
    const permitted = `one of ${httpFaultKinds.join(', ')}`;
    throw new InvalidOptionError('faults.set', 'kind', kind, permitted);
  }
  const shape: Shape = { ...countedShape, ...shapes[kind] };
  return { ...neutral, ...parseOptions(`faults.set('${kind}')`, shape, options) };
}
