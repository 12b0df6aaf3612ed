import { InvalidOptionError, type OptionRule } from '@holdfast/foundation';

/** The options of a policy over their defaults; the policy that is made of them validates each. */
export function ofPolicy<T extends object>(absent: T): OptionRule<T> {
  const permitted = 'an object';
  return {
    permitted,
    parse(value, field, owner) {
      if (typeof value !== 'object' || value === null) {
        throw new InvalidOptionError(owner, field, value, permitted);
      }
      return { ...absent, ...value };
    },
    defaultValue: () => absent,
  };
}
