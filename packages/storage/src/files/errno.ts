import { types } from 'node:util';

/** The `code` of an error of the operating system. */
export function errnoOf(error: unknown): string | undefined {
  if (!types.isNativeError(error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

const outOfSpace = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** Whether the error means that the disk is full. */
export function isOutOfSpace(error: unknown): boolean {
  return outOfSpace.has(errnoOf(error) ?? '');
}
