import { supabaseError } from '../error.ts';

const CHARACTERS = /^[\w/!.*'() &$@=;:+,?-]*$/;
const MAX_KEY_CHARACTERS = 1_024;
const MAX_BUCKET_CHARACTERS = 100;
/** The longest file name of a file system: the real server fails beyond it with its file backend. */
const MAX_SEGMENT_BYTES = 255;

/** @throws SupabaseError InvalidKey, or InternalError for a key that the file backend cannot store. */
export function assertValidKey(key: string): void {
  const segments = key.split('/');
  const isValid =
    key !== '' &&
    key.length <= MAX_KEY_CHARACTERS &&
    CHARACTERS.test(key) &&
    segments.every((segment) => segment !== '.' && segment !== '..');
  if (!isValid) throw supabaseError('InvalidKey', `Invalid key: ${key}`);
  const isNameable = segments.every((segment) => segment.length <= MAX_SEGMENT_BYTES);
  if (!isNameable) throw supabaseError('InternalError', 'ENAMETOOLONG: name too long');
}

/** @throws SupabaseError InvalidBucketName */
export function assertValidBucket(name: string): void {
  const isValid =
    name !== '' &&
    name.length <= MAX_BUCKET_CHARACTERS &&
    CHARACTERS.test(name) &&
    !name.includes('/') &&
    name.trim() === name;
  if (!isValid) throw supabaseError('InvalidBucketName');
}
