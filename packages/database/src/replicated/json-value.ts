import { InvalidOptionError } from '@holdfast/foundation';
import { MalformedRegisterError } from './errors.ts';
import type { Register } from './register-table.ts';

const MAX_KEY_LENGTH = 1_024;

/** @throws InvalidOptionError for anything that no region can store as a key. */
export function checkKey(owner: string, key: unknown): void {
  const isKey =
    typeof key === 'string' &&
    key.length >= 1 &&
    key.length <= MAX_KEY_LENGTH &&
    key.isWellFormed() &&
    !key.includes('\0');
  if (isKey) return;
  const permitted = `a string of 1 to ${MAX_KEY_LENGTH} characters, none of them NUL`;
  throw new InvalidOptionError(owner, 'key', key, permitted);
}

/** @throws InvalidOptionError for a value that JSON cannot represent, or that is too long. */
export function encode(owner: string, value: unknown, maxValueBytes: number): string {
  const permitted = `a value that JSON represents in at most ${maxValueBytes} bytes`;
  const text = asJson(value);
  if (text !== undefined && Buffer.byteLength(text) <= maxValueBytes) return text;
  throw new InvalidOptionError(owner, 'value', value, permitted);
}

/** @throws MalformedRegisterError */
export function decode(key: string, { text }: Register): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new MalformedRegisterError('a region', key, 'a value that is not JSON', error);
  }
}

function asJson(value: unknown): string | undefined {
  try {
    // Declared to return a string always; for undefined and for functions it does not.
    const text: unknown = JSON.stringify(value);
    return typeof text === 'string' ? text : undefined;
  } catch {
    return undefined;
  }
}
