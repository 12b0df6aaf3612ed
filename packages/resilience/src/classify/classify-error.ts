import { types } from 'node:util';
import { errorChain, isHoldfastError, propertyOf } from '@holdfast/foundation';
import { classifyAwsError } from './aws-error.ts';
import { classifyCode, classifyName } from './error-codes.ts';
import { type DecisiveError, decisiveErrorsOf, isDecisive, strictest } from './decisive-errors.ts';
import type { ErrorKind } from './error-kind.ts';
import { classifyGrpcError } from './grpc-status.ts';
import { classifyStatus, httpStatusOf } from './http-status.ts';
import { classifyRedisError } from './redis-error.ts';
import { classifySqlError } from './sql-state.ts';

/** Kinds that the error's own `retryable` does not override. */
const finalKinds: ReadonlySet<ErrorKind> = new Set<ErrorKind>([
  'exhausted',
  'client_error',
  'certificate_error',
  'programming_error',
  'aborted',
]);

/**
 * Returns the kind by codes, statuses and names along the chain of causes; never by the message, and never by
 * `instanceof`, which fails between realms. It reads the errors of Node, fetch and undici, axios, got, ky, superagent,
 * the AWS SDK, supabase-js, pg, postgres.js, mysql2, ioredis, node-redis and grpc-js; of Holdfast's own, `retryable` and
 * `outcome` decide, also when they are behind errors of others.
 */
export function classifyError(error: unknown): ErrorKind {
  const decisive = strictest(decisiveErrorsOf(error));
  if (decisive === undefined) return classifyForeign(error) ?? 'unknown';
  return (decisive.error === error ? undefined : finalKindAbove(error)) ?? classifyOwn(decisive);
}

function classifyOwn({ error, retryable, outcome }: DecisiveError): ErrorKind {
  if (isRefusal(error)) return 'refused';
  const kind = classifyForeign(error);
  if (retryable) return kind === undefined || finalKinds.has(kind) ? 'transient' : kind;
  if (kind !== undefined && finalKinds.has(kind)) return kind;
  return outcome === 'unknown' ? 'outcome_unknown' : 'permanent';
}

/** The kind that the errors around a decisive one give it, if it is final: such as HTTP 404, or an abort. */
function finalKindAbove(error: unknown): ErrorKind | undefined {
  for (const inspected of errorChain(error)) {
    if (isDecisive(inspected)) return undefined;
    const kind = classifyOne(inspected);
    if (kind === undefined) continue;
    const isLate = kind === 'aborted' && isTimeout(propertyOf(inspected, 'cause'));
    return finalKinds.has(kind) && !isLate ? kind : undefined;
  }
  return undefined;
}

/**
 * Whether a policy of Holdfast refused the call before it was sent. That says nothing about the dependency, so a
 * circuit breaker ignores it.
 */
export function isRefusal(error: unknown): boolean {
  return isHoldfastError(error) && classifyCode(error.code) === 'refused';
}

function classifyForeign(error: unknown): ErrorKind | undefined {
  let last: object | undefined;
  for (const inspected of errorChain(error)) {
    const kind = classifyOne(inspected);
    if (kind === 'aborted' && isTimeout(propertyOf(inspected, 'cause'))) return 'network_timeout';
    if (kind !== undefined) return kind;
    last = inspected;
  }
  return last !== undefined && isProgrammingError(last) ? 'programming_error' : undefined;
}

/** What the server itself said comes before what the client made of it, and a broken connection before a status. */
function classifyOne(error: object): ErrorKind | undefined {
  const classes = classNamesOf(error);
  const code = propertyOf(error, 'code');
  return (
    classifyRedisError(error, classes) ??
    classifyAwsError(error) ??
    classifySqlError(error) ??
    classifyGrpcError(error) ??
    (isTimeoutOfClient(error) ? 'network_timeout' : undefined) ??
    (typeof code === 'string' ? classifyCode(code) : undefined) ??
    classifyResponse(error) ??
    firstDefined(classes, classifyName)
  );
}

/** The reason of `AbortSignal.timeout()`, which node:http wraps in an AbortError. */
function isTimeout(reason: unknown): boolean {
  return propertyOf(reason, 'name') === 'TimeoutError';
}

/** axios and superagent report their own timeouts as `ECONNABORTED`. */
function isTimeoutOfClient(error: object): boolean {
  if (propertyOf(error, 'code') !== 'ECONNABORTED') return false;
  const errno = propertyOf(error, 'errno');
  return propertyOf(error, 'isAxiosError') === true || errno === 'ETIME' || errno === 'ETIMEDOUT';
}

function classifyResponse(error: object): ErrorKind | undefined {
  const status = httpStatusOf(error);
  if (status === undefined) return undefined;
  const kind = classifyStatus(status);
  // axios: the status was fine, but the body was cut off.
  const isCut = kind === undefined && propertyOf(error, 'code') === 'ERR_BAD_RESPONSE';
  return isCut ? 'network_error' : kind;
}

/** The error's `name` and the names of its classes, from the most special one. */
function classNamesOf(error: object): readonly string[] {
  const prototype: unknown = Object.getPrototypeOf(error);
  const classes = classesFrom(prototype);
  const name = propertyOf(error, 'name');
  return typeof name === 'string' && name !== classes[0] ? [name, ...classes] : classes;
}

const CLASS_DEPTH = 6;
/** By prototype: the errors of a class are many, and its names stay. */
const classesOf = new WeakMap<object, readonly string[]>();

function classesFrom(first: unknown): readonly string[] {
  if (typeof first !== 'object' || first === null) return [];
  const known = classesOf.get(first);
  if (known !== undefined) return known;
  const names: string[] = [];
  let prototype: unknown = first;
  for (let depth = 0; depth < CLASS_DEPTH && typeof prototype === 'object'; depth += 1) {
    if (prototype === null) break;
    const name = propertyOf(propertyOf(prototype, 'constructor'), 'name');
    if (typeof name === 'string') names.push(name);
    prototype = Object.getPrototypeOf(prototype);
  }
  classesOf.set(first, names);
  return names;
}

function firstDefined<T, R>(values: readonly T[], of: (value: T) => R | undefined): R | undefined {
  for (const value of values) {
    const result = of(value);
    if (result !== undefined) return result;
  }
  return undefined;
}

function isProgrammingError(error: object): boolean {
  const name = propertyOf(error, 'name');
  return types.isNativeError(error) && (name === 'TypeError' || name === 'ReferenceError');
}
