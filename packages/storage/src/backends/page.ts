import type { ObjectPage, ListedObject } from '../backend.ts';
import { compareKeys } from '../object/key.ts';

/** The first page of objects that are not sorted yet; its cursor is its last key. */
export function pageOf(found: ListedObject[], limit: number): ObjectPage {
  found.sort((left, right) => compareKeys(left.key, right.key));
  const objects = found.slice(0, limit);
  const last = objects.at(-1);
  return { objects, ...(last !== undefined && found.length > limit && { cursor: last.key }) };
}
