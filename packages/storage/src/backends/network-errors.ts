/** Codes of failures before anything was sent: a write cannot have been applied. */
const beforeSending = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENETDOWN',
  'UND_ERR_CONNECT_TIMEOUT',
  'CERT_HAS_EXPIRED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'ERR_TLS_CERT_ALTNAME_INVALID',
]);

const MAX_CAUSES = 5;

/**
 * The code of a failed request, from the error or its causes: `fetch` wraps the socket's error in a
 * TypeError, and an attempt at several addresses wraps one error per address.
 */
export function networkCodeOf(error: unknown): string | undefined {
  let inner = error;
  for (let depth = 0; depth < MAX_CAUSES; depth += 1) {
    if (typeof inner !== 'object' || inner === null) return undefined;
    if ('code' in inner && typeof inner.code === 'string') return inner.code;
    inner = 'cause' in inner ? inner.cause : undefined;
  }
  return undefined;
}

/** Whether a request that failed with this code was not sent at all. */
export function failedBeforeSending(code: string | undefined): boolean {
  return code !== undefined && beforeSending.has(code);
}
