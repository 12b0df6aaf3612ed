import { type Clock, sleep } from '@holdfast/foundation';
import { injectedError } from './injected-error.ts';
import type { InjectedFault, InjectedFaultKind } from './injected-faults.ts';

/** The faults in place of which the call is not made. */
export const replacing: ReadonlySet<InjectedFaultKind> = new Set([
  'timeout',
  'network_failure',
  'resource_exhaustion',
  'rate_limit',
]);

/**
 * Returns the fault in place of which the call is not made. It is known at once, so that a call which is made is made
 * before any later one. Whatever comes in its place, the fault is felt.
 */
export function replacementOf(faults: readonly InjectedFault[]): InjectedFault | undefined {
  const replacement = faults.find(({ kind }) => replacing.has(kind));
  replacement?.felt();
  return replacement;
}

/** Resolves with the error of a fault that replaces the call, for a timeout after its time. */
export async function replacementError(
  { kind, fault, injection }: InjectedFault,
  clock: Clock,
  signal: AbortSignal | undefined,
): Promise<Error> {
  if (kind === 'timeout') await sleep(clock, fault.latencyMs, signal);
  const { retryAfterMs } = fault;
  const fields = kind === 'rate_limit' ? { status: 429, retryAfterMs } : {};
  return injectedError(injection, fault.errorMessage, fields);
}
