import { isAnyArrayBuffer, isDate, isMap, isPromise, isSet } from 'node:util/types';
import { InvalidOptionError } from '@holdfast/foundation';
import type { CustomTypesConfig } from 'pg';
import type { Statement } from '../database.ts';
import { QUERY_OPTIONS } from './call-deadline.ts';

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
  refuseCallOptions(owner, given);
  const bound = values ?? ('values' in given ? given.values : undefined);
  return {
    text,
    ...(bound === undefined ? {} : { values: parseValues(owner, bound) }),
    ...parseName(owner, given),
    ...parseRowMode(owner, given),
    ...parseTypes(owner, given),
  };
}

/** Other fields are those of a library that made the statement; these would be believed. */
function refuseCallOptions(owner: string, given: object): void {
  for (const option of QUERY_OPTIONS) {
    if (!(option in given)) continue;
    const permitted = 'absent: it belongs to the options of the call';
    throw new InvalidOptionError(
      owner,
      `statement.${option}`,
      Reflect.get(given, option),
      permitted,
    );
  }
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
  let sent: unknown[] | undefined;
  for (let at = 0; at < list.length; at += 1) {
    const value = list[at];
    if (typeof value === 'object' && value !== null) {
      const text = toParameter(value, owner, at);
      if (text !== value) (sent ??= [...list])[at] = text;
    } else if (!isSendable(value)) throw unsendable(owner, at, value);
  }
  return sent ?? list;
}

/** pg would send the source of a function, and the description of a symbol. */
function isSendable(value: unknown): boolean {
  return value !== undefined && typeof value !== 'function' && typeof value !== 'symbol';
}

/** @param cause what JSON says of it. */
function unsendable(
  owner: string,
  at: number,
  value: unknown,
  cause?: unknown,
): InvalidOptionError {
  const why = cause instanceof Error ? ` (${cause.message.split('\n', 1)[0]})` : '';
  const permitted =
    value === undefined
      ? "a value, or null for SQL's"
      : 'a value that Postgres has a text for: null, a string, number, bigint, boolean, valid Date, bytes, an array ' +
        `of them, or what JSON can hold${why}`;
  return new InvalidOptionError(owner, `values[${at}]`, value, permitted);
}

/**
 * An object as the JSON that pg would send, as it is now: it may be sent again later. What pg would send as something
 * else is refused: a promise nobody awaited, a Map, a Set, an invalid Date, and what JSON cannot hold.
 */
function toParameter(value: object, owner: string, at: number): unknown {
  if (ArrayBuffer.isView(value) || 'toPostgres' in value) return value;
  if (isDate(value)) {
    if (Number.isNaN(value.getTime())) throw unsendable(owner, at, value);
    return value;
  }
  try {
    if (!Array.isArray(value)) return jsonOf(value) ?? value;
    const items: readonly unknown[] = value;
    for (const item of items) {
      if (typeof item === 'object' && item !== null) toParameter(item, owner, at);
      else if (item !== undefined && !isSendable(item)) throw unsendable(owner, at, value);
    }
    return value;
  } catch (error) {
    if (error instanceof InvalidOptionError) throw error;
    throw unsendable(owner, at, value, error);
  }
}

function jsonOf(value: object): string | undefined {
  const hasJson = 'toJSON' in value && typeof value.toJSON === 'function';
  const isLost = isPromise(value) || isMap(value) || isSet(value) || isAnyArrayBuffer(value);
  if (isLost && !hasJson) throw new TypeError('JSON would lose it');
  return JSON.stringify(value);
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
