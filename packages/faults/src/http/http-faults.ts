import {
  InvalidOptionError,
  type OptionRule,
  integer,
  number,
  optional,
  parseOptions,
  string,
} from '@holdfast/foundation';

/** Which requests a fault strikes. */
export interface HttpFaultOptions {
  /** Share of the requests, 0 to 1, drawn for each. Default 1. */
  probability?: number;
  /** It strikes so many requests, then no more. Default: no end. */
  times?: number;
}

/** The options of every fault of HTTP, by its name. */
export interface HttpFaults {
  /** Everything comes later, by `delayMs`. */
  delay: HttpFaultOptions & { delayMs: number };
  /** 429 with `Retry-After`, `retryAfterSeconds` (default 1), in place of the server's answer. */
  rateLimit: HttpFaultOptions & { retryAfterSeconds?: number };
  /** RST in place of the server's answer. */
  reset: HttpFaultOptions;
  /** Bytes that are no HTTP in place of the server's answer. */
  notHttp: HttpFaultOptions;
  /** Another status in place of the server's answer. */
  status: HttpFaultOptions & { status: number };
  /** 302 to where the request came to. */
  redirectLoop: HttpFaultOptions;
  /** The server's answer under another content type; default `text/html`. */
  wrongContentType: HttpFaultOptions & { contentType?: string };
  /** Half of the body, and a length that says that this was all. */
  malformedBody: HttpFaultOptions;
  /** `keptShare` (default 0.5) of the body, then the connection closes: the length stated is not reached. */
  truncatedBody: HttpFaultOptions & { keptShare?: number };
  /** `keptShare` (default 0.5) of the body, then RST. */
  resetBody: HttpFaultOptions & { keptShare?: number };
  /** The body in pieces of `dripBytes` (default 1), `delayMs` apart. */
  slowDrip: HttpFaultOptions & { delayMs: number; dripBytes?: number };
}

export type HttpFaultKind = keyof HttpFaults;

/** In the order in which an answer meets them. */
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

/** A fault's options as read; what its kind does not take has no meaning to it. */
export interface ResolvedHttpFault {
  readonly probability: number;
  readonly times: number;
  readonly delayMs: number;
  readonly retryAfterSeconds: number;
  readonly status: number;
  readonly contentType: string;
  readonly keptShare: number;
  readonly dripBytes: number;
}

const aim = {
  probability: number({ min: 0, max: 1, default: 1 }),
  times: optional(integer({ min: 0, max: Number.MAX_SAFE_INTEGER })),
};
const keptShare = number({ min: 0, max: 1, default: 0.5 });
const delayMs = integer({ min: 0, max: 86_400_000 });

const shapes: Readonly<Record<HttpFaultKind, Readonly<Record<string, OptionRule<unknown>>>>> = {
  delay: { ...aim, delayMs },
  rateLimit: { ...aim, retryAfterSeconds: integer({ min: 0, max: 86_400, default: 1 }) },
  status: { ...aim, status: integer({ min: 200, max: 599 }) },
  reset: aim,
  notHttp: aim,
  redirectLoop: aim,
  wrongContentType: { ...aim, contentType: string({ maxLength: 200, default: 'text/html' }) },
  malformedBody: aim,
  truncatedBody: { ...aim, keptShare },
  resetBody: { ...aim, keptShare },
  slowDrip: { ...aim, delayMs, dripBytes: integer({ min: 1, max: 1_073_741_824, default: 1 }) },
};

/** @throws InvalidOptionError, also for a kind that is not known. */
export function parseHttpFault(kind: HttpFaultKind, options: unknown): ResolvedHttpFault {
  if (!Object.hasOwn(shapes, kind)) {
    const permitted = `one of ${httpFaultKinds.join(', ')}`;
    throw new InvalidOptionError('faults.set', 'kind', kind, permitted);
  }
  const read = parseOptions(`faults.set('${kind}')`, shapes[kind], options);
  const numberOf = (key: string, absent: number): number => {
    const value = read[key];
    return typeof value === 'number' ? value : absent;
  };
  const contentType = read['contentType'];
  return {
    probability: numberOf('probability', 1),
    times: numberOf('times', Number.POSITIVE_INFINITY),
    delayMs: numberOf('delayMs', 0),
    retryAfterSeconds: numberOf('retryAfterSeconds', 0),
    status: numberOf('status', 500),
    contentType: typeof contentType === 'string' ? contentType : '',
    keptShare: numberOf('keptShare', 1),
    dripBytes: numberOf('dripBytes', 1),
  };
}
