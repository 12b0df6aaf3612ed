import { InvalidOptionError, describeValue } from './errors/errors.ts';
import { hideValue } from './errors/secrets.ts';

/** The rule for one option: the permitted values, in words and in code, and the default. */
export interface OptionRule<T> {
  readonly permitted: string;
  parse(value: unknown, field: string, owner: string): T;
  readonly defaultValue?: (field: string, owner: string) => T;
}

type OptionRules = Readonly<Record<string, OptionRule<unknown>>>;

/** One rule for every option of `Options`. */
export type OptionsSchema<Options> = {
  readonly [Key in keyof Required<Options>]: OptionRule<unknown>;
};

/** The result of {@link parseOptions}: every field is present, defaults included. */
export type ResolvedOptions<S> = {
  readonly [Key in keyof S]: S[Key] extends OptionRule<infer T> ? T : never;
};

/**
 * Validates `given` against `schema` and adds the defaults. Unknown keys are refused.
 * @param owner the public function, with which the error's message begins.
 * @throws InvalidOptionError naming field, value and permitted range.
 */
export function parseOptions<S extends OptionRules>(
  owner: string,
  schema: S,
  given: unknown,
  path?: string,
): ResolvedOptions<S>;
export function parseOptions(
  owner: string,
  schema: OptionRules,
  given: unknown,
  path = '',
): Record<string, unknown> {
  if (given !== undefined && !isRecord(given)) {
    throw new InvalidOptionError(owner, path === '' ? 'options' : path, given, 'an object');
  }
  const source = given ?? {};
  for (const key of Object.keys(source)) {
    if (!Object.hasOwn(schema, key)) refuseUnknown(owner, schema, source, key, path);
  }
  const resolved: Record<string, unknown> = {};
  for (const [key, option] of Object.entries(schema)) {
    const field = join(path, key);
    const value = source[key];
    if (value !== undefined) resolved[key] = option.parse(value, field, owner);
    else if (option.defaultValue !== undefined) resolved[key] = option.defaultValue(field, owner);
    else throw new InvalidOptionError(owner, field, value, option.permitted);
  }
  return resolved;
}

/**
 * As {@link parseOptions}, with the defaults of an earlier call: for options that are parsed with each call, where
 * to make all the defaults would cost more than the rest of the call. They are shared, and must not be changed.
 * @param defaults what `parseOptions` returns for no options at all.
 * @throws InvalidOptionError naming field, value and permitted range.
 */
export function parseOver<Resolved extends object>(
  owner: string,
  schema: OptionRules,
  defaults: Resolved,
  given: object,
): Resolved;
export function parseOver(
  owner: string,
  schema: OptionRules,
  defaults: Record<string, unknown>,
  given: object,
): object {
  if (!isRecord(given)) throw new InvalidOptionError(owner, 'options', given, 'an object');
  const resolved = { ...defaults };
  for (const key of Object.keys(given)) {
    const option = schema[key];
    if (option === undefined || !Object.hasOwn(schema, key)) {
      refuseUnknown(owner, schema, given, key, '');
    }
    const value = given[key];
    if (value !== undefined) resolved[key] = option.parse(value, key, owner);
  }
  return resolved;
}

function refuseUnknown(
  owner: string,
  schema: OptionRules,
  source: Record<string, unknown>,
  key: string,
  path: string,
): never {
  const known = `one of the known options (${Object.keys(schema).join(', ')})`;
  // It may be a secret in the wrong field.
  throw new InvalidOptionError(owner, join(path, key), hideValue(source[key]), known);
}

/** A number from `min` to `max`, both included. Without `default` the option is required. */
export function number(range: { min: number; max: number; default?: number }): OptionRule<number> {
  return numeric('a number', Number.isFinite, range);
}

/** A whole number from `min` to `max`, both included. Without `default` the option is required. */
export function integer(range: { min: number; max: number; default?: number }): OptionRule<number> {
  return numeric('a whole number', Number.isSafeInteger, range);
}

/** A rule for true or false; `absent` is the default. */
export function boolean(absent: boolean): OptionRule<boolean> {
  return rule(
    'true or false',
    (value): value is boolean => typeof value === 'boolean',
    () => absent,
  );
}

/** A rule for a string of `minLength` (1) to `maxLength` characters. */
export function string(limits: {
  minLength?: number;
  maxLength: number;
  default?: string;
}): OptionRule<string> {
  const { minLength = 1, maxLength } = limits;
  const fallback = limits.default;
  return rule(
    `a string of ${minLength} to ${maxLength} characters`,
    (value): value is string =>
      typeof value === 'string' && value.length >= minLength && value.length <= maxLength,
    fallback === undefined ? undefined : () => fallback,
  );
}

/** A rule for one of the values; `absent` is the default. */
export function oneOf<const T extends string>(
  values: readonly T[],
  absent?: NoInfer<T>,
): OptionRule<T> {
  return rule(
    `one of ${values.map((value) => describeValue(value)).join(', ')}`,
    (value): value is T => values.some((known) => known === value),
    absent === undefined ? undefined : () => absent,
  );
}

/** A function; its parameters are not checked. Without `absent` the option is required. */
export function callback<F>(absent?: F): OptionRule<F> {
  return rule(
    'a function',
    (value): value is F => typeof value === 'function',
    absent === undefined ? undefined : () => absent,
  );
}

/** An object with the named methods, such as a `Clock`. Without `absent` the option is required. */
export function objectWith<T>(methods: readonly (keyof T & string)[], absent?: T): OptionRule<T> {
  return rule(
    `an object with ${methods.join(', ')}`,
    (value): value is T =>
      typeof value === 'object' && value !== null && methods.every((method) => method in value),
    absent === undefined ? undefined : () => absent,
  );
}

/** Options within options; errors name the whole path. If it is left out, its own defaults apply. */
export function object<S extends OptionRules>(schema: S): OptionRule<ResolvedOptions<S>> {
  return {
    permitted: 'an object',
    parse: (value, field, owner) => parseOptions(owner, schema, value, field),
    defaultValue: (field, owner) => parseOptions(owner, schema, {}, field),
  };
}

/** The same rule for an option that may be left out, and then stays `undefined`. */
export function optional<T>(inner: OptionRule<T>): OptionRule<T | undefined> {
  return {
    permitted: inner.permitted,
    parse: (value, field, owner) => inner.parse(value, field, owner),
    defaultValue: () => undefined,
  };
}

function numeric(
  kind: string,
  isKind: (value: number) => boolean,
  range: { min: number; max: number; default?: number },
): OptionRule<number> {
  const fallback = range.default;
  return rule(
    `${kind} from ${range.min} to ${range.max}`,
    (value): value is number =>
      typeof value === 'number' && isKind(value) && value >= range.min && value <= range.max,
    fallback === undefined ? undefined : () => fallback,
  );
}

function rule<T>(
  permitted: string,
  isPermitted: (value: unknown) => value is T,
  absent?: () => T,
): OptionRule<T> {
  return {
    permitted,
    parse: (value, field, owner) => {
      if (!isPermitted(value)) throw new InvalidOptionError(owner, field, value, permitted);
      return value;
    },
    ...(absent === undefined ? {} : { defaultValue: absent }),
  };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function join(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`;
}
