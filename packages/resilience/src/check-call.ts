import { InvalidOptionError, hideValue } from '@holdfast/foundation';

/** Whether a value can be used as a signal, of any realm. */
function isSignal(value: unknown): boolean {
  // Most are of this realm, and this is a fifth of the cost of looking at each member.
  if (value instanceof AbortSignal) return true;
  return (
    typeof value === 'object' &&
    value !== null &&
    'aborted' in value &&
    typeof value.aborted === 'boolean' &&
    'addEventListener' in value &&
    typeof value.addEventListener === 'function' &&
    'removeEventListener' in value &&
    typeof value.removeEventListener === 'function' &&
    'throwIfAborted' in value
  );
}

const FUNCTIONS = new Set(['onDiscarded', 'onSettled', 'fallback']);

/** The options of a call whose work gets its signal. */
export const WORK_OPTIONS: readonly string[] = ['signal', 'onDiscarded'];

/**
 * Checks the arguments of a call before anything has been counted.
 * @param owner the method that was called, such as `bulkhead.execute`.
 * @param permitted the names of the options; those with a rule of their own are checked by the policy.
 * @throws InvalidOptionError naming the argument or the option.
 */
export function checkCall(
  owner: string,
  work: unknown,
  options: unknown,
  permitted: readonly string[] = WORK_OPTIONS,
): void {
  if (typeof work !== 'function') throw new InvalidOptionError(owner, 'work', work, 'a function');
  if (options !== undefined) checkCallOptions(owner, options, permitted);
}

/** As {@link checkCall}, of a call without work. */
export function checkCallOptions(
  owner: string,
  options: unknown,
  permitted: readonly string[],
): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new InvalidOptionError(owner, 'options', options, 'an object');
  }
  // Without an array of the names, which would cost as much as the rest.
  for (const name in options) {
    if (!permitted.includes(name)) {
      if (!Object.hasOwn(options, name)) continue;
      const known = `one of the known options (${permitted.join(', ')})`;
      // It may be a secret in the wrong field.
      throw new InvalidOptionError(owner, name, hideValue(Reflect.get(options, name)), known);
    }
    const value: unknown = Reflect.get(options, name);
    if (value === undefined) continue;
    if (name === 'signal' && !isSignal(value)) {
      throw new InvalidOptionError(owner, name, value, 'an AbortSignal');
    }
    if (typeof value !== 'function' && FUNCTIONS.has(name)) {
      throw new InvalidOptionError(owner, name, value, 'a function');
    }
  }
}
