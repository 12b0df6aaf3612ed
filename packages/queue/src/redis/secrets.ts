import { isNativeError } from 'node:util/types';
import { InvalidOptionError, hideValue } from '@holdfast/foundation';

const HIDDEN = '***';

/**
 * Runs `parse`; an InvalidOptionError is thrown again without a value that may be a password.
 * @param isSecret whether every text and number under these fields may be one, by the path of the field.
 */
export function hidingSecrets<T>(
  owner: string,
  isSecret: (field: string) => boolean,
  parse: () => T,
): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof InvalidOptionError)) throw error;
    const { field, value, permitted } = error;
    const isPort = typeof value === 'number' && field.endsWith('.port');
    if (!isSecret(field) || isPort) throw error;
    throw new InvalidOptionError(owner, field, hideValue(value), permitted);
  }
}

/** Removes what a client's error holds besides its message: arguments of commands, and addresses. */
export function stripSecrets(error: unknown): unknown {
  if (!isNativeError(error)) return error;
  if ('command' in error && typeof error.command === 'object' && error.command !== null) {
    const name: unknown = Reflect.get(error.command, 'name');
    Reflect.set(error, 'command', { name });
  }
  if ('input' in error) Reflect.set(error, 'input', HIDDEN);
  return error;
}
