import { InvalidOptionError, type OptionRule, optional } from '@holdfast/foundation';

/** Accepts a list of at least one name and returns the set of them in lower case. */
export function nameSet(permitted: string): OptionRule<ReadonlySet<string> | undefined> {
  return optional({
    permitted,
    parse(value, field, owner) {
      if (!isNameList(value)) throw new InvalidOptionError(owner, field, value, permitted);
      return new Set(value.map((name) => name.toLowerCase()));
    },
  });
}

function isNameList(value: unknown): value is readonly string[] {
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value.every((name) => typeof name === 'string' && name !== '')
  );
}
