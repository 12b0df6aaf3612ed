import { isDeepStrictEqual } from 'node:util';
import type { Durable } from './durable.ts';
import { NotDurableError } from './errors.ts';

/**
 * A copy of the value as JSON keeps it; `null` for `undefined`, which a step without a result returns.
 *
 * @throws NotDurableError if it would come back as another value.
 */
export function toStored(what: string, value: unknown): Durable {
  if (value === undefined) return null;
  let copy: Durable;
  try {
    copy = JSON.parse(JSON.stringify(value));
  } catch (error) {
    throw new NotDurableError(what, error);
  }
  if (!isDeepStrictEqual(copy, value)) throw new NotDurableError(what);
  return copy;
}
