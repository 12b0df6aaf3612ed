import { types } from 'node:util';

/** The length of the chain that is searched; an error may be its own cause. */
const MAX_DEPTH = 8;

/** The properties in which clients keep the error behind an error, or the response that caused it. */
const INNER = ['cause', 'originalError', 'original', 'driverError', 'lastNodeError'];

/** As well, but not of the chain: what a SuppressedError has. */
const BESIDE = ['suppressed', 'error'];

/**
 * Yields the error and those behind it: `cause`, the first of an AggregateError's `errors`, and the properties that
 * clients use instead. At most 8; nothing for a value that is not an object.
 */
export function* errorChain(error: unknown): Generator<object, void, undefined> {
  let inspected = error;
  for (let depth = 0; depth < MAX_DEPTH; depth += 1) {
    if (typeof inspected !== 'object' || inspected === null) return;
    yield inspected;
    inspected = innerOf(inspected);
  }
}

function innerOf(error: object): unknown {
  for (const name of INNER) {
    const inner = propertyOf(error, name);
    if (typeof inner === 'object' && inner !== null) return inner;
  }
  const errors = propertyOf(error, 'errors');
  if (Array.isArray(errors)) return errors[0];
  // supabase-js: the error of fetch, or the response. Elsewhere the name means anything.
  const context = propertyOf(error, 'context');
  return types.isNativeError(context) || propertyOf(context, 'headers') ? context : undefined;
}

/**
 * All errors directly behind an error, in the order of their importance: those of the chain, each of an
 * AggregateError's `errors`, and both of a SuppressedError.
 */
export function innerErrorsOf(error: object): object[] {
  const errors = propertyOf(error, 'errors');
  const named = [...INNER, ...BESIDE, 'context'].map((name) => propertyOf(error, name));
  return [...named, ...(Array.isArray(errors) ? errors : [])].filter(isObject);
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

/** The property of a foreign value; `undefined` where there is none, or where reading it throws. */
export function propertyOf(value: unknown, key: string): unknown {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null)
    return undefined;
  try {
    return Reflect.get(value, key);
  } catch {
    return undefined;
  }
}
