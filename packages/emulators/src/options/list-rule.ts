import { InvalidOptionError, type OptionRule } from '@holdfast/foundation';

/** An array of values that `rule` accepts; empty when absent. Errors name the index, such as `routes[2].path`. */
export function listOf<T>(
  rule: OptionRule<T>,
  maxLength: number = Infinity,
): OptionRule<readonly T[]> {
  const limit = maxLength === Infinity ? '' : ` of up to ${maxLength}`;
  return {
    permitted: `an array${limit}, each item ${rule.permitted}`,
    parse(value, field, owner) {
      if (!Array.isArray(value) || value.length > maxLength) {
        throw new InvalidOptionError(owner, field, value, this.permitted);
      }
      return value.map((item: unknown, index) => rule.parse(item, `${field}[${index}]`, owner));
    },
    defaultValue: () => [],
  };
}
