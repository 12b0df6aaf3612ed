import { InvalidOptionError } from '@holdfast/foundation';

/** The options beside a name that is given first: all but the name. */
export type NameFirst<Options> = Omit<Options, 'name'>;

/**
 * The options of a factory that takes the name first, or among them.
 * @throws InvalidOptionError when it is given twice, or the options are no object.
 */
export function nameFirst<Options extends object>(
  owner: string,
  first: string | Options | undefined,
  second: NameFirst<Options> | undefined,
): Options | undefined;
export function nameFirst(
  owner: string,
  first: string | object | undefined,
  second: object | undefined,
): object | undefined {
  if (typeof first !== 'string') {
    if (second !== undefined) {
      throw new InvalidOptionError(owner, 'name', first, 'a string, if options follow');
    }
    if (first === undefined || isRecord(first)) return first;
    throw new InvalidOptionError(owner, 'options', first, 'an object, or a name before it');
  }
  if (second === undefined) return { name: first };
  if (!isRecord(second)) {
    throw new InvalidOptionError(owner, 'options', second, 'an object');
  }
  if ('name' in second && second.name !== undefined && second.name !== first) {
    const permitted = `absent, because the first argument is the name ${JSON.stringify(first)}`;
    throw new InvalidOptionError(owner, 'name', second.name, permitted);
  }
  return { ...second, name: first };
}

function isRecord(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
