import { InvalidOptionError, type OptionRule } from '@holdfast/foundation';

/** An array of what `rule` accepts, absent: empty; an error names the place, such as `routes[2].path`. */
export function listOf<T>(rule: OptionRule<T>, maxLength: number): OptionRule<readonly T[]> {
  return {
    permitted: `an array of up to ${maxLength}`,
    parse(value, field, owner) {
      if (!Array.isArray(value) || value.length > maxLength) {
        throw new InvalidOptionError(owner, field, value, this.permitted);
      }
      return value.map((each: unknown, place) => rule.parse(each, `${field}[${place}]`, owner));
    },
    defaultValue: () => [],
  };
}
