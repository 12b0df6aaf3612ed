import { createHash } from 'node:crypto';

/**
 * What an object is called on a disk: no traversal, no clash of upper and lower case or of file and
 * folder, no length and no reserved name can come of a key that is hashed.
 */
export function safeFileName(bucket: string, key: string): string {
  return createHash('sha256').update(`${bucket}\0${key}`).digest('hex');
}
