import { jest } from '@jest/globals';

/** What a dropped connection looks like. */
export const reset: Error = Object.assign(new Error('read'), { code: 'ECONNRESET' });

/** The error that a promise rejects with; it must reject. */
export async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('it succeeded');
}

/** Work that fails the given number of times and then succeeds. */
export function failing(times: number, error: unknown = reset): jest.Mock<() => Promise<string>> {
  let left = times;
  return jest.fn(async () => {
    left -= 1;
    if (left >= 0) throw error;
    return 'ok';
  });
}
