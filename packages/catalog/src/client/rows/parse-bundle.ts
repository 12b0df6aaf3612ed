import { describeValue } from '@holdfast/foundation';
import type { Bundle } from '../../catalog.ts';
import {
  type Fields,
  isFields,
  parseCountries,
  parseRoaming,
  type Reject,
} from './parse-countries.ts';
import { checkSize } from './row-size.ts';

const MAX_NAME = 200;
const MAX_DESCRIPTION = 10_000;
const MAX_GROUPS = 100;
/** As in a query: any amount in any currency, and exact in whole numbers. */
const MAX_PRICE = Number.MAX_SAFE_INTEGER;
const MAX_DAYS = 36_500;
const MAX_MEGABYTES = 1_000_000_000;

/**
 * Checks one row, and puts it into its one form in place: an absent `unlimited` is told by `dataAmount`, codes of
 * countries are in upper case, and optional fields that are null or hold nothing are removed. Unknown fields stay.
 * @param reject called with the first thing that is wrong.
 * @param isSuspicious whether the text of the page has escapes or keys that a database or an object cannot take.
 */
export function parseBundle(
  row: unknown,
  reject: Reject,
  isSuspicious: boolean,
): Bundle | undefined {
  if (!isFields(row)) return refuse(reject, '', 'an object', row);
  const isSound =
    checkName(row, reject) &&
    checkNumbers(row, reject) &&
    parseCountries(row, reject) &&
    checkOptional(row, reject) &&
    parseRoaming(row, reject) &&
    checkSize(row, reject, isSuspicious);
  return isSound && isBundle(row) ? row : undefined;
}

/** The name of a row that may be broken, for samples. */
export function nameOf(row: unknown): string | undefined {
  const name = isFields(row) ? row['name'] : undefined;
  return typeof name === 'string' ? name.slice(0, 60) : undefined;
}

/** The checks above have shown it; this tells the types. */
function isBundle(row: Fields): row is Fields & Bundle {
  return typeof row['name'] === 'string';
}

function checkName(row: Fields, reject: Reject): boolean {
  const name = row['name'];
  if (typeof name !== 'string' || name === '' || name.length > MAX_NAME) {
    return refused(reject, 'name', `a string of 1 to ${MAX_NAME} characters`, name);
  }
  if (isPrintable(name)) return true;
  return refused(reject, 'name', 'well-formed text without control characters', name);
}

/** Control characters break lines and terminals; those of direction make one name look like another. */
function isPrintable(text: string): boolean {
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    if (unit < 0x20 || (unit >= 0x7f && unit < 0xa0)) return false;
    if (unit >= 0x200b && HOSTILE.test(text)) return false;
  }
  return true;
}

const HOSTILE = /[\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]|\p{Surrogate}/u;

function checkNumbers(row: Fields, reject: Reject): boolean {
  const { price, duration } = row;
  if (!isWithin(price, 0, MAX_PRICE)) {
    return refused(reject, 'price', `a number from 0 to ${MAX_PRICE}`, price);
  }
  if (!isWithin(duration, 1, MAX_DAYS) || !Number.isInteger(duration)) {
    return refused(reject, 'duration', `a whole number from 1 to ${MAX_DAYS}`, duration);
  }
  return parseData(row, reject);
}

function parseData(row: Fields, reject: Reject): boolean {
  const amount = row['dataAmount'] ?? undefined;
  const unlimited = row['unlimited'] ?? amount === -1;
  if (typeof unlimited !== 'boolean') {
    return refused(reject, 'unlimited', 'true or false', unlimited);
  }
  if (!unlimited && !isWithin(amount, 0, MAX_MEGABYTES)) {
    return refused(reject, 'dataAmount', `a number from 0 to ${MAX_MEGABYTES}`, amount);
  }
  if (unlimited && amount !== undefined && !isWithin(amount, -1, Number.MAX_SAFE_INTEGER)) {
    return refused(reject, 'dataAmount', 'a number of at least -1 where unlimited', amount);
  }
  if (row['unlimited'] !== unlimited) row['unlimited'] = unlimited;
  if (row['dataAmount'] !== amount || amount === undefined) row['dataAmount'] = amount ?? -1;
  return true;
}

function checkOptional(row: Fields, reject: Reject): boolean {
  const { description, groups } = row;
  if (description === null) delete row['description'];
  else if (description !== undefined) {
    if (typeof description !== 'string' || description.length > MAX_DESCRIPTION) {
      const permitted = `a string of at most ${MAX_DESCRIPTION} characters`;
      return refused(reject, 'description', permitted, description);
    }
  }
  if (groups === null) delete row['groups'];
  else if (groups !== undefined) {
    const isList = Array.isArray(groups) && groups.length <= MAX_GROUPS;
    if (
      !isList ||
      !groups.every((group) => typeof group === 'string' && group.length <= MAX_NAME)
    ) {
      return refused(reject, 'groups', `at most ${MAX_GROUPS} strings`, groups);
    }
  }
  return true;
}

function isWithin(value: unknown, min: number, max: number): value is number {
  return typeof value === 'number' && value >= min && value <= max;
}

function refuse(reject: Reject, field: string, permitted: string, seen: unknown): undefined {
  reject({ field, permitted, seen: describeValue(seen) });
}

function refused(reject: Reject, field: string, permitted: string, seen: unknown): false {
  refuse(reject, field, permitted, seen);
  return false;
}
