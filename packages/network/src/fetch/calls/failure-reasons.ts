import { isHoldfastError, propertyOf } from '@holdfast/foundation';
import { classifyError } from '@holdfast/resilience';
import { PrivateAddressError } from '../../dialing/errors.ts';
import { TlsRefusedError } from '../../tls/errors.ts';

const FINAL = new Set([
  'certificate_error',
  'programming_error',
  'permanent',
  'client_error',
  'refused',
  'aborted',
]);

/** Whether the same may succeed a moment later. */
export function isTransientError(cause: unknown): boolean {
  if (isHoldfastError(cause)) return cause.retryable;
  // What the client itself does not send, such as an invalid header.
  const code = propertyOf(cause, 'code');
  if (code === 'UND_ERR_INVALID_ARG' || code === 'UND_ERR_NOT_SUPPORTED') return false;
  return !FINAL.has(classifyError(cause));
}

/** Of a refusal by the dialer its own words too, which tell what was refused and the way out. */
export function reasonOf(cause: unknown): string {
  if (cause instanceof TlsRefusedError) {
    return `(${cause.code}, ${cause.kind}): ${cause.message}`;
  }
  if (cause instanceof PrivateAddressError) {
    return `(${cause.code}, ${cause.range}): ${cause.message}`;
  }
  const kind = isHoldfastError(cause) ? propertyOf(cause, 'kind') : undefined;
  return typeof kind === 'string' ? `(${codeOf(cause)}, ${kind})` : `(${codeOf(cause)})`;
}

/** Its code, or its name; never its message, which may hold anything. */
export function codeOf(cause: unknown): string {
  const code = propertyOf(cause, 'code');
  if (typeof code === 'string') return code;
  const name = propertyOf(cause, 'name');
  return typeof name === 'string' ? name : 'unknown';
}
