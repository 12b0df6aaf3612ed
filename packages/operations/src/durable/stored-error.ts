import { describeThrown, hideCredentials, propertyOf } from '@holdfast/foundation';

/** What is stored of an error. Credentials in its message are hidden. */
export interface StoredError {
  readonly name: string;
  readonly message: string;
  /** The `code` of the error, where it is a string. */
  readonly code?: string;
}

const MAX_MESSAGE = 2_000;

export function toStoredError(error: unknown): StoredError {
  const name = propertyOf(error, 'name');
  const message = propertyOf(error, 'message');
  const code = propertyOf(error, 'code');
  const text = typeof message === 'string' ? message : describeThrown(error);
  return {
    name: typeof name === 'string' ? name : 'Error',
    message: hideCredentials(text).slice(0, MAX_MESSAGE),
    ...(typeof code === 'string' ? { code } : {}),
  };
}
