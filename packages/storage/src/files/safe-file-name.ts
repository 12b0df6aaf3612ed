import { createHash } from 'node:crypto';

/**
 * The name of an object's file. A hash rules out traversal, clashes of case or of file and folder, names that
 * are too long, and reserved names.
 */
export function safeFileName(bucket: string, key: string): string {
  return createHash('sha256').update(`${bucket}\0${key}`).digest('hex');
}
