import { describeValue } from '@holdfast/foundation';
import { type Fields, type Reject, isFields } from './parse-countries.ts';

/** Characters of all keys and strings of a row, and 8 for each other value. The largest that are known have 6 000. */
const MAX_CHARACTERS = 65_536;
const MAX_DEPTH = 12;
const TOO_LARGE = `at most ${MAX_CHARACTERS} characters`;
const TOO_DEEP = `at most ${MAX_DEPTH} levels`;
/** Fields of a bundle that have text within. */
const KNOWN_TEXTS = new Set(['name', 'description', 'groups', 'countries', 'roamingEnabled']);

/**
 * Escapes of ASCII, which only NUL and hidden keys need, and of surrogates: a `jsonb` refuses NUL and lone surrogates.
 */
const ESCAPES = /\\u(?:00[0-7]|d[89a-f])/i;

/** Whether the rows of a page have to be checked for what its text may contain. */
export function isSuspiciousText(page: string): boolean {
  return page.includes('__proto__') || (page.includes('\\u') && ESCAPES.test(page));
}

/** Walks a row once, unknown fields included. */
export function checkSize(row: Fields, reject: Reject, isSuspicious: boolean): boolean {
  const walk: Walk = { left: MAX_CHARACTERS, isSuspicious, problem: undefined, key: '' };
  visit(row, 0, walk);
  const { problem: permitted, key } = walk;
  if (permitted === undefined) return true;
  // Reasons are counted by their field: a key that the API made up is named in the sample alone.
  if (permitted === TOO_LARGE) reject({ field: '', permitted, seen: 'more' });
  else {
    const field = KNOWN_TEXTS.has(key) ? key : '';
    const seen = permitted === TOO_DEEP ? 'more' : 'other';
    reject({ field, permitted, seen: `${seen} in ${describeValue(key)}` });
  }
  return false;
}

interface Walk {
  left: number;
  readonly isSuspicious: boolean;
  problem: string | undefined;
  /** The field of the row that was visited last. */
  key: string;
}

function visit(value: unknown, depth: number, walk: Walk): void {
  if (typeof value === 'string') {
    walk.left -= value.length;
    if (walk.isSuspicious) checkText(value, walk);
  } else if (Array.isArray(value) || isFields(value)) visitFields(value, depth, walk);
  else walk.left -= 8;
  if (walk.left < 0) walk.problem ??= TOO_LARGE;
}

function visitFields(value: Fields | readonly unknown[], depth: number, walk: Walk): void {
  if (depth >= MAX_DEPTH) {
    walk.problem ??= TOO_DEEP;
    return;
  }
  if (isList(value)) {
    walk.left -= value.length;
    for (const each of value) {
      if (walk.problem !== undefined) return;
      visit(each, depth + 1, walk);
    }
    return;
  }
  for (const key of Object.keys(value)) {
    const each = value[key];
    if (walk.problem !== undefined) return;
    if (depth === 0) walk.key = key;
    walk.left -= key.length;
    if (walk.isSuspicious) {
      checkText(key, walk);
      if (key === '__proto__') walk.problem ??= 'no key __proto__';
    }
    visit(each, depth + 1, walk);
  }
}

function checkText(text: string, walk: Walk): void {
  if (text.includes('\0')) walk.problem ??= 'text without NUL';
  else if (!text.isWellFormed()) walk.problem ??= 'well-formed text';
}

function isList(value: Fields | readonly unknown[]): value is readonly unknown[] {
  return Array.isArray(value);
}
