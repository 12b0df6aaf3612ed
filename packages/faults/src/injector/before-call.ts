import { type Clock, sleep } from '@holdfast/foundation';
import { injectedError } from './injected-error.ts';
import type { InjectedFault, InjectedFaultKind } from './injected-faults.ts';

/** The faults in place of which the call is not made. */
const replacing: ReadonlySet<InjectedFaultKind> = new Set([
  'timeout',
  'network_failure',
  'resource_exhaustion',
  'rate_limit',
]);

/** Applies the delay of a fault, and returns its error when the call must not be made. */
export async function beforeCall(
  { kind, fault, injection, random }: InjectedFault,
  clock: Clock,
  signal: AbortSignal | undefined,
): Promise<Error | undefined> {
  if (kind === 'network_delay')
    await sleep(clock, fault.latencyMs + random() * fault.jitterMs, signal);
  if (kind === 'timeout') await sleep(clock, fault.latencyMs, signal);
  if (!replacing.has(kind)) return undefined;
  const { retryAfterMs } = fault;
  const fields = kind === 'rate_limit' ? { status: 429, retryAfterMs } : {};
  return injectedError(injection, fault.errorMessage, fields);
}
