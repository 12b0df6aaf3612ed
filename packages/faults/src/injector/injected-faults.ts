import {
  type Random,
  type OptionRule,
  boolean,
  integer,
  number,
  oneOf,
  optional,
  parseOptions,
  string,
} from '@holdfast/foundation';
import type { Injection } from './injected-error.ts';

/** What every fault of the injector takes. */
export interface InjectedFaultOptions {
  /** Default true. */
  enabled?: boolean;
  /** Share of the calls it strikes, 0 to 1. Default 1. */
  probability?: number;
  /** It strikes so many calls, then no more. Default: no end. */
  times?: number;
}

export interface FailingFaultOptions extends InjectedFaultOptions {
  /** The error's message; a code in it, such as `ECONNREFUSED`, becomes the error's `code`. */
  errorMessage?: string;
}

/** The options of every fault of the injector, by its name. */
export interface InjectedFaults {
  /** The call comes late by `latencyMs` (default 100), and up to `jitterMs` more (default 0). */
  network_delay: InjectedFaultOptions & { latencyMs?: number; jitterMs?: number };
  /** Fails before the call, for want of files, memory, ...; default `EMFILE`. */
  resource_exhaustion: FailingFaultOptions;
  /** 429 in place of the call; asks for `retryAfterMs` (default 1 000), whole seconds over HTTP. */
  rate_limit: FailingFaultOptions & { retryAfterMs?: number };
  /** Fails before the call; default `ECONNREFUSED`. */
  network_failure: FailingFaultOptions;
  /** No answer; after `latencyMs` (default 30 000) it fails by `ETIMEDOUT`. The call is not made. */
  timeout: FailingFaultOptions & { latencyMs?: number };
  /** The call is made; of a list, `lostShare` (default 0.5) is missing, any other answer is lost: `ECONNRESET`. */
  partial_failure: FailingFaultOptions & { lostShare?: number };
  /** The call is made; its answer is cut in half and cannot be parsed. */
  malformed_response: InjectedFaultOptions;
  /** The call is made; its answer looks right, and one value in it is wrong. */
  data_corruption: InjectedFaultOptions;
}

export type InjectedFaultKind = keyof InjectedFaults;

/** In the order in which a call meets them. */
export const injectedFaultKinds: readonly InjectedFaultKind[] = [
  'network_delay',
  'resource_exhaustion',
  'rate_limit',
  'network_failure',
  'timeout',
  'partial_failure',
  'malformed_response',
  'data_corruption',
];

/** A fault's options as read; what its kind does not take has no meaning to it. */
export interface ResolvedInjectedFault {
  readonly enabled: boolean;
  readonly probability: number;
  readonly times: number;
  readonly errorMessage: string;
  readonly latencyMs: number;
  readonly jitterMs: number;
  readonly retryAfterMs: number;
  readonly lostShare: number;
}

/** A fault that strikes one call. */
export interface DrawnFault {
  readonly fault: ResolvedInjectedFault;
  readonly injection: Injection & { readonly kind: InjectedFaultKind };
  readonly random: Random;
}

const ms = { min: 0, max: 86_400_000 };
const common = {
  enabled: boolean(true),
  probability: number({ min: 0, max: 1, default: 1 }),
  times: optional(integer({ min: 0, max: Number.MAX_SAFE_INTEGER })),
};
const message = (absent: string): OptionRule<string> =>
  string({ maxLength: 1_000, default: absent });
const latency = (absentMs: number): OptionRule<number> => number({ ...ms, default: absentMs });

const shapes: Readonly<Record<InjectedFaultKind, Readonly<Record<string, OptionRule<unknown>>>>> = {
  network_delay: { ...common, latencyMs: latency(100), jitterMs: latency(0) },
  resource_exhaustion: { ...common, errorMessage: message('EMFILE') },
  rate_limit: {
    ...common,
    errorMessage: message('429 Too Many Requests'),
    retryAfterMs: latency(1_000),
  },
  network_failure: { ...common, errorMessage: message('ECONNREFUSED') },
  timeout: { ...common, errorMessage: message('ETIMEDOUT'), latencyMs: latency(30_000) },
  partial_failure: {
    ...common,
    errorMessage: message('ECONNRESET'),
    lostShare: number({ min: 0, max: 1, default: 0.5 }),
  },
  malformed_response: common,
  data_corruption: common,
};

const kindShape = { kind: oneOf(injectedFaultKinds) };

/** @throws InvalidOptionError, also for a kind that is not known. */
export function parseInjectedFault(
  kind: InjectedFaultKind,
  options: unknown,
): ResolvedInjectedFault {
  parseOptions('configureFault', kindShape, { kind });
  const read = parseOptions(`configureFault('${kind}')`, shapes[kind], options);
  return {
    enabled: read['enabled'] === true,
    probability: numberIn(read['probability'], 1),
    times: numberIn(read['times'], Number.POSITIVE_INFINITY),
    errorMessage: typeof read['errorMessage'] === 'string' ? read['errorMessage'] : '',
    latencyMs: numberIn(read['latencyMs'], 0),
    jitterMs: numberIn(read['jitterMs'], 0),
    retryAfterMs: numberIn(read['retryAfterMs'], 0),
    lostShare: numberIn(read['lostShare'], 0),
  };
}

function numberIn(value: unknown, absent: number): number {
  return typeof value === 'number' ? value : absent;
}
