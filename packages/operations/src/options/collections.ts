import { InvalidOptionError, type OptionRule } from '@holdfast/foundation';

/** The rule for a list of values of one kind; errors name the index. Without `absent` the option is required. */
export function listOf<T>(
  inner: OptionRule<T>,
  limits: { readonly min?: number; readonly max: number; readonly absent?: readonly T[] },
): OptionRule<readonly T[]> {
  const { min = 0, max, absent } = limits;
  const permitted = `a list of ${min} to ${max} values`;
  return {
    permitted,
    parse(value, field, owner) {
      if (!Array.isArray(value) || value.length < min || value.length > max) {
        throw new InvalidOptionError(owner, field, value, permitted);
      }
      return value.map((each: unknown, index) => inner.parse(each, `${field}[${index}]`, owner));
    },
    ...(absent !== undefined && { defaultValue: () => absent }),
  };
}

/** The rule for an object whose keys the user chooses; errors name the key. */
export function recordOf<T>(
  inner: OptionRule<T>,
  limits: { readonly max: number; readonly isRequired?: boolean },
): OptionRule<ReadonlyMap<string, T>> {
  const permitted = `an object of at most ${limits.max} keys`;
  return {
    permitted,
    parse(value, field, owner) {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) {
        throw new InvalidOptionError(owner, field, value, permitted);
      }
      const entries: [string, unknown][] = Object.entries(value);
      if (entries.length > limits.max) {
        throw new InvalidOptionError(owner, field, value, permitted);
      }
      return new Map(
        entries.map(([key, each]) => [key, inner.parse(each, `${field}.${key}`, owner)]),
      );
    },
    ...(limits.isRequired !== true && { defaultValue: () => new Map<string, T>() }),
  };
}

/** The rule for an abort signal, which may be left out. */
export function signalRule(): OptionRule<AbortSignal | undefined> {
  const permitted = 'an AbortSignal';
  return {
    permitted,
    defaultValue: () => undefined,
    parse(value, field, owner) {
      if (value instanceof AbortSignal) return value;
      throw new InvalidOptionError(owner, field, value, permitted);
    },
  };
}
