import { type StorageFailure, fail } from '../../backend.ts';
import { errnoOf } from '../../files/errno.ts';

const denied = new Set(['EACCES', 'EPERM', 'EROFS']);

/** Classifies an error of the file system by its code. */
export function classifyDiskError(key: string, error: unknown): StorageFailure {
  const code = errnoOf(error);
  const message = `${code ?? 'an error without a code'} on the file of ${JSON.stringify(key)}`;
  const kind = code !== undefined && denied.has(code) ? 'denied' : 'transient';
  return fail(kind, message, { code, cause: error });
}
