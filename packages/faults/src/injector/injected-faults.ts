import {
  type OptionRule,
  boolean,
  number,
  oneOf,
  parseOptions,
  string,
} from '@holdfast/foundation';
import { type CountedFault, type DrawnFault, countedShape } from '../fault-injector.ts';
import type { Injection } from './injected-error.ts';

/** The options every fault of the injector takes. */
export interface InjectedFaultOptions {
  /** Default true. */
  enabled?: boolean;
  /** The share of the calls it is injected into, 0 to 1. Default 1. */
  probability?: number;
  /** How many calls it is injected into. Default: no limit. */
  times?: number;
}

/** Options of a fault that makes a call fail. */
export interface FailingFaultOptions extends InjectedFaultOptions {
  /** The error's message; a code in it, such as `ECONNREFUSED`, becomes the error's `code`. */
  errorMessage?: string;
}

/** The options of each fault of the injector, by its kind. */
export interface InjectedFaults {
  /** Delays the call by `latencyMs` (default 100) plus up to `jitterMs` (default 0). */
  network_delay: InjectedFaultOptions & { latencyMs?: number; jitterMs?: number };
  /** Fails before the call for lack of a resource; default `EMFILE`. */
  resource_exhaustion: FailingFaultOptions;
  /** Answers 429 in place of the call, with `retryAfterMs` (default 1 000; whole seconds over HTTP). */
  rate_limit: FailingFaultOptions & { retryAfterMs?: number };
  /** Fails before the call; default `ECONNREFUSED`. */
  network_failure: FailingFaultOptions;
  /** Makes no call and fails after `latencyMs` (default 30 000) with `ETIMEDOUT`. */
  timeout: FailingFaultOptions & { latencyMs?: number };
  /** Makes the call and removes `lostShare` (default 0.5) of a list; any other result fails with `ECONNRESET`. */
  partial_failure: FailingFaultOptions & { lostShare?: number };
  /** Makes the call and cuts its result in half, so that it cannot be parsed. */
  malformed_response: InjectedFaultOptions;
  /** Makes the call and changes one value of a result that keeps its form. */
  data_corruption: InjectedFaultOptions;
}

/** The name of a fault of the injector. */
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

/** A fault's options with defaults applied; an option that its kind does not take is neutral. */
export interface ResolvedInjectedFault extends CountedFault {
  readonly enabled: boolean;
  readonly errorMessage: string;
  readonly latencyMs: number;
  readonly jitterMs: number;
  readonly retryAfterMs: number;
  readonly lostShare: number;
}

/** A fault to inject into one call, with what its error tells. */
export interface InjectedFault extends DrawnFault<InjectedFaultKind, ResolvedInjectedFault> {
  readonly injection: Injection;
}

type Shape = {
  readonly [Name in keyof ResolvedInjectedFault]?: OptionRule<ResolvedInjectedFault[Name]>;
};

const neutral: ResolvedInjectedFault = {
  enabled: true,
  probability: 1,
  times: 0,
  errorMessage: '',
  latencyMs: 0,
  jitterMs: 0,
  retryAfterMs: 0,
  lostShare: 0,
};
const common = { ...countedShape, enabled: boolean(true) };
const message = (defaultMessage: string): OptionRule<string> =>
  string({ maxLength: 1_000, default: defaultMessage });
const duration = (defaultMs: number): OptionRule<number> =>
  number({ min: 0, max: 86_400_000, default: defaultMs });

/** The options of each kind besides the common ones. */
const shapes: Readonly<Record<InjectedFaultKind, Shape>> = {
  network_delay: { latencyMs: duration(100), jitterMs: duration(0) },
  resource_exhaustion: { errorMessage: message('EMFILE') },
  rate_limit: { errorMessage: message('429 Too Many Requests'), retryAfterMs: duration(1_000) },
  network_failure: { errorMessage: message('ECONNREFUSED') },
  timeout: { errorMessage: message('ETIMEDOUT'), latencyMs: duration(30_000) },
  partial_failure: {
    errorMessage: message('ECONNRESET'),
    lostShare: number({ min: 0, max: 1, default: 0.5 }),
  },
  malformed_response: {},
  data_corruption: {},
};

const kindShape = { kind: oneOf(injectedFaultKinds) };

/** @throws InvalidOptionError, also for an unknown kind. */
export function parseInjectedFault(
  kind: InjectedFaultKind,
  options: unknown,
): ResolvedInjectedFault {
  parseOptions('configureFault', kindShape, { kind });
  const shape: Shape = { ...common, ...shapes[kind] };
  return { ...neutral, ...parseOptions(`configureFault('${kind}')`, shape, options) };
}
