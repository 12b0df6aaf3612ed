import { expect } from '@jest/globals';

/** The error of a call that has to fail. */
export async function errorOf(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    (value) => expect(value).toBe('an error'),
    (error: unknown) => error,
  );
}
