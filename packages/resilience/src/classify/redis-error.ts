import { propertyOf } from '@holdfast/foundation';
import type { ErrorKind } from './error-kind.ts';

/** The reply codes of a server that may execute the same command later. */
const passing: ReadonlySet<string> = new Set([
  'ASK',
  'BUSY',
  'CLUSTERDOWN',
  'INPROG',
  'LOADING',
  'MASTERDOWN',
  'MISCONF',
  'MOVED',
  'NOGOODSLAVE',
  'NOMASTERLINK',
  'NOREPLICAS',
  'OOM',
  'READONLY',
  'TRYAGAIN',
  'UNBLOCKED',
]);

/**
 * The kind of an error of ioredis or node-redis. A reply's code is the first word of its text, as the protocol
 * specifies. An `AbortError` of ioredis is a command that was cut off by a lost connection, not by the caller.
 * @param classes the names of the error's class and of those above it
 */
export function classifyRedisError(
  error: object,
  classes: readonly string[],
): ErrorKind | undefined {
  if (classes.includes('ReplyError') || classes.includes('ErrorReply')) {
    const code = /^[A-Z]+/.exec(String(propertyOf(error, 'message')))?.[0] ?? '';
    return passing.has(code) ? 'service_unavailable' : 'client_error';
  }
  return classes.includes('RedisError') && classes.includes('AbortError')
    ? 'network_error'
    : undefined;
}
