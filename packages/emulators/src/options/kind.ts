import { InvalidOptionError, type OptionRule } from '@holdfast/foundation';

/** The `kind` of an object in a tagged union. @throws InvalidOptionError naming `<field>.kind`. */
export function parseKind<Kind extends string>(
  rule: OptionRule<Kind>,
  value: unknown,
  field: string,
  owner: string,
): Kind {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InvalidOptionError(owner, field, value, 'an object');
  }
  return rule.parse('kind' in value ? value.kind : undefined, `${field}.kind`, owner);
}
