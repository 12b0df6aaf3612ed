import { describeValue } from '@holdfast/foundation';
import type { Rejection } from './rejections.ts';

/** A row, or a country of it. */
export type Fields = Record<string, unknown>;
export type Reject = (rejection: Rejection) => void;

const MAX_COUNTRIES = 500;
const MAX_TEXT = 200;
const CODE = /^[A-Za-z0-9][A-Za-z0-9-]{1,11}$/;

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Checks the required countries, and puts their codes into upper case. */
export function parseCountries(row: Fields, reject: Reject): boolean {
  const list = row['countries'];
  if (!Array.isArray(list) || list.length === 0 || list.length > MAX_COUNTRIES) {
    const seen = describeValue(list);
    reject({ field: 'countries', permitted: `1 to ${MAX_COUNTRIES} countries`, seen });
    return false;
  }
  return list.every((country: unknown) => parseCountry(country, 'countries', reject));
}

/**
 * The API sends nothing, countries, codes or a boolean. Codes become countries without a name; a boolean, which names
 * none, is removed.
 */
export function parseRoaming(row: Fields, reject: Reject): boolean {
  const list = row['roamingEnabled'];
  if (list === undefined) return true;
  if (list === null || typeof list === 'boolean') {
    delete row['roamingEnabled'];
    return true;
  }
  if (!Array.isArray(list) || list.length > MAX_COUNTRIES) {
    const permitted = `at most ${MAX_COUNTRIES} countries or codes`;
    reject({ field: 'roamingEnabled', permitted, seen: describeValue(list) });
    return false;
  }
  const countries = list.map((each: unknown) =>
    typeof each === 'string' ? { name: each, region: '', iso: each } : each,
  );
  row['roamingEnabled'] = countries;
  return countries.every((country) => parseCountry(country, 'roamingEnabled', reject));
}

function parseCountry(country: unknown, list: string, reject: Reject): boolean {
  if (!isFields(country)) {
    reject({ field: list, permitted: 'objects', seen: describeValue(country) });
    return false;
  }
  const { name, region, iso } = country;
  if (typeof name !== 'string' || name.length > MAX_TEXT) {
    const permitted = `a string of at most ${MAX_TEXT} characters`;
    reject({ field: `${list}.name`, permitted, seen: describeValue(name) });
    return false;
  }
  if (region === undefined || region === null) country['region'] = '';
  else if (typeof region !== 'string' || region.length > MAX_TEXT) {
    const permitted = `a string of at most ${MAX_TEXT} characters`;
    reject({ field: `${list}.region`, permitted, seen: describeValue(region) });
    return false;
  }
  if (typeof iso !== 'string' || !isKnownCode(iso)) {
    const permitted = 'the code of a country that exists, or of a region';
    reject({ field: `${list}.iso`, permitted, seen: describeValue(iso) });
    return false;
  }
  const code = iso.toUpperCase();
  if (code !== iso) country['iso'] = code;
  return true;
}

const countryNames = new Intl.DisplayNames('en', { type: 'region', fallback: 'none' });
/** Codes of two letters; a Node without the names of countries takes them all. */
const known = new Map<string, boolean>();
const hasNames = countryNames.of('DE') !== undefined;
/** They have a name, but are no country: unknown, and for tests of programs. */
const PLACEHOLDERS = new Set(['ZZ', 'XA', 'XB']);

function isKnownCode(iso: string): boolean {
  const recent = known.get(iso);
  if (recent !== undefined) return recent;
  if (!CODE.test(iso)) return false;
  // Regions have longer codes of the API's own, such as RGBS.
  if (!/^[A-Za-z]{2}$/.test(iso)) return true;
  const code = iso.toUpperCase();
  const exists = !hasNames || (!PLACEHOLDERS.has(code) && countryNames.of(code) !== undefined);
  known.set(iso, exists);
  return exists;
}
