import { types } from 'node:util';

/** The `code` of an error of the operating system. */
export function errnoOf(error: unknown): string | undefined {
  if (!types.isNativeError(error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
