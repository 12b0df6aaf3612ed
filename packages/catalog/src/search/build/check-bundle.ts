import { describeValue } from '@holdfast/foundation';
import type { Bundle } from '../../catalog.ts';
import { IndexBuildError } from '../errors.ts';

const TEXTS = ['name', 'region', 'iso'] as const;

/**
 * What the index reads of a bundle has its type. Bundles are validated before they come here, so one that is not
 * stops the build.
 * @throws IndexBuildError naming bundle, field and value.
 */
export function checkBundle(value: unknown, place: number): asserts value is Bundle {
  if (!isRecord(value)) refuse(place, 'it', value, 'an object');
  const { name, description, groups, unlimited } = value;
  if (typeof name !== 'string' || name === '') refuse(place, 'name', name, 'a string');
  for (const field of ['price', 'duration', 'dataAmount'] as const) {
    const number = value[field];
    if (!Number.isFinite(number)) refuse(place, field, number, 'a finite number', name);
  }
  if (typeof unlimited !== 'boolean') refuse(place, 'unlimited', unlimited, 'a boolean', name);
  if (description !== undefined && typeof description !== 'string') {
    refuse(place, 'description', description, 'a string', name);
  }
  if (groups !== undefined && !(Array.isArray(groups) && groups.every(isString))) {
    refuse(place, 'groups', groups, 'an array of strings', name);
  }
  if (!areCountries(value['countries'])) {
    refuse(place, 'countries', value['countries'], 'an array of countries', name);
  }
  const roaming = value['roamingEnabled'];
  if (roaming !== undefined && !areCountries(roaming)) {
    refuse(place, 'roamingEnabled', roaming, 'an array of countries', name);
  }
}

function areCountries(value: unknown): boolean {
  return (
    Array.isArray(value) &&
    value.every(
      (country) => isRecord(country) && TEXTS.every((field) => typeof country[field] === 'string'),
    )
  );
}

function isString(value: unknown): value is string {
  return typeof value === 'string';
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function refuse(
  place: number,
  field: string,
  value: unknown,
  permitted: string,
  name?: string,
): never {
  const bundle =
    name === undefined ? `bundle ${place}` : `bundle ${place}, ${describeValue(name)},`;
  throw new IndexBuildError(
    'invalid-bundle',
    `in ${bundle} ${field} must be ${permitted}, but is ${describeValue(value)}`,
  );
}
