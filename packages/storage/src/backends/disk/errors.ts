import { types } from 'node:util';
import { type BackendFailure, fail } from '../../backend.ts';

const denied = new Set(['EACCES', 'EPERM', 'EROFS']);

/** What an error of the file system means to the one who wrote; the table is this and its tests. */
export function classifyDiskError(key: string, error: unknown): BackendFailure {
  const code = errnoOf(error);
  const message = `${code ?? 'an error without a code'} on the file of ${JSON.stringify(key)}`;
  const kind = code !== undefined && denied.has(code) ? 'denied' : 'transient';
  return fail(kind, message, { code, cause: error });
}

/** The `code` of an error of the operating system. */
export function errnoOf(error: unknown): string | undefined {
  if (!types.isNativeError(error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
