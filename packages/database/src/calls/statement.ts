import { InvalidOptionError } from '@holdfast/foundation';
import type { CustomTypesConfig } from 'pg';
import type { Statement } from '../database.ts';

/** The protocol counts parameters in 16 bits. */
const MAX_VALUES = 65_535;
const MAX_NAME_LENGTH = 63;

/**
 * Validates a statement.
 * @throws InvalidOptionError also for values that pg would send as something else.
 */
export function parseStatement(owner: string, given: unknown, values: unknown): Statement {
  if (typeof given === 'string') {
    checkText(owner, 'statement', given);
    return values === undefined
      ? { text: given }
      : { text: given, values: parseValues(owner, values) };
  }
  if (typeof given !== 'object' || given === null || !('text' in given)) {
    throw new InvalidOptionError(owner, 'statement', given, 'SQL, or an object with text');
  }
  const { text } = given;
  if (typeof text !== 'string') {
    throw new InvalidOptionError(owner, 'statement.text', text, 'SQL');
  }
  checkText(owner, 'statement.text', text);
  const bound = values ?? ('values' in given ? given.values : undefined);
  return {
    text,
    ...(bound === undefined ? {} : { values: parseValues(owner, bound) }),
    ...parseName(owner, given),
    ...parseRowMode(owner, given),
    ...parseTypes(owner, given),
  };
}

function checkText(owner: string, field: string, text: string): void {
  if (!text.includes('\0')) return;
  throw new InvalidOptionError(owner, field, text, 'SQL without a zero byte, which would end it');
}

function parseValues(owner: string, values: unknown): readonly unknown[] {
  if (!Array.isArray(values) || values.length > MAX_VALUES) {
    throw new InvalidOptionError(owner, 'values', values, `an array of at most ${MAX_VALUES}`);
  }
  const list: readonly unknown[] = values;
  for (let at = 0; at < list.length; at += 1) {
    if (list[at] !== undefined) continue;
    throw new InvalidOptionError(owner, `values[${at}]`, undefined, "a value, or null for SQL's");
  }
  return list;
}

function parseName(owner: string, given: object): { name?: string } {
  if (!('name' in given) || given.name === undefined) return {};
  const { name } = given;
  const isName = typeof name === 'string' && name.length > 0 && name.length <= MAX_NAME_LENGTH;
  if (isName && !name.includes('\0')) return { name };
  const permitted = `a string of 1 to ${MAX_NAME_LENGTH} characters`;
  throw new InvalidOptionError(owner, 'statement.name', name, permitted);
}

function parseRowMode(owner: string, given: object): { rowMode?: 'array' } {
  if (!('rowMode' in given) || given.rowMode === undefined) return {};
  if (given.rowMode === 'array') return { rowMode: 'array' };
  throw new InvalidOptionError(owner, 'statement.rowMode', given.rowMode, "'array'");
}

function parseTypes(owner: string, given: object): { types?: CustomTypesConfig } {
  if (!('types' in given) || given.types === undefined) return {};
  const { types } = given;
  if (parsesTypes(types)) return { types };
  throw new InvalidOptionError(owner, 'statement.types', types, 'an object with getTypeParser');
}

function parsesTypes(types: unknown): types is CustomTypesConfig {
  return (
    typeof types === 'object' &&
    types !== null &&
    'getTypeParser' in types &&
    typeof types.getTypeParser === 'function'
  );
}

/** @throws InvalidOptionError for anything but a function. */
export function checkWork(owner: string, work: unknown): void {
  if (typeof work !== 'function') throw new InvalidOptionError(owner, 'work', work, 'a function');
}
