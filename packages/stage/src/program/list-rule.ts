import { InvalidOptionError, type Rule } from '@holdfast/resilience/foundation';

/** An array of what `rule` accepts, absent: empty; an error names the place, such as `routes[2].path`. */
export function listOf<T>(rule: Rule<T>, maxLength: number): Rule<readonly T[]> {
  return {
    permitted: `an array of up to ${maxLength}`,
    accepts(value, field, owner) {
      if (!Array.isArray(value) || value.length > maxLength) {
        throw new InvalidOptionError(owner, field, value, this.permitted);
      }
      return value.map((each: unknown, place) => rule.accepts(each, `${field}[${place}]`, owner));
    },
    absent: () => [],
  };
}
