import { isHoldfastError } from '@holdfast/foundation';
import { classifyError } from './classify-error.ts';
import type { ErrorKind } from './error-kind.ts';

/** Kinds that often pass by themselves. */
export const transientKinds: readonly ErrorKind[] = [
  'network_timeout',
  'network_error',
  'gateway_timeout',
  'service_unavailable',
  'rate_limited',
  'server_error',
  'conflict',
  'resource_exhausted',
  'transient',
  'unknown',
];

/** The kind of an error; `unknown` for one whose properties cannot be read. */
export function kindOf(error: unknown): ErrorKind {
  try {
    return classifyError(error);
  } catch {
    return 'unknown';
  }
}

/** Whether the same call may succeed later. */
export function isTransient(error: unknown): boolean {
  return isHoldfastError(error) ? error.retryable : transientKinds.includes(kindOf(error));
}
