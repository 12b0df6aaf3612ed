import { TAG } from './encode.ts';
import { emptyError, isErrorName, isViewName, viewOf } from './kinds.ts';

const OPENING = `{"${TAG}":[`;

/**
 * Reads what {@link encode} wrote, as a new value.
 * @throws SyntaxError or TypeError for a text that it did not write
 */
// oxlint-disable-next-line typescript/no-explicit-any -- the caller knows what it wrote, as with JSON.parse
export function decode(text: string): any {
  const written: unknown = JSON.parse(text);
  return isTagged(text) ? revived(written) : written;
}

/** Whether a text may have tags; without one, JSON reads all of it exactly. */
export function isTagged(text: string): boolean {
  return text.includes(OPENING);
}

function revived(written: unknown): unknown {
  if (typeof written !== 'object' || written === null) return written;
  if (Array.isArray(written)) {
    for (const [at, item] of written.entries()) written[at] = revived(item);
    return written;
  }
  const content: unknown = Object.hasOwn(written, TAG) ? Reflect.get(written, TAG) : undefined;
  if (content !== undefined) return untagged(content);
  for (const [key, part] of Object.entries(written)) {
    if (typeof part === 'object' && part !== null) define(written, key, revived(part));
  }
  return written;
}

function untagged(content: unknown): unknown {
  const [kind, first, second, third]: unknown[] = listIn(content);
  switch (kind) {
    case 'undefined':
      return undefined;
    case 'number':
      return Number(first);
    case 'bigint':
      return BigInt(textIn(first));
    case 'date':
      return new Date(first === null ? Number.NaN : Number(first));
    case 'map':
      return new Map(listIn(first).map(entryOf));
    case 'set':
      return new Set(listIn(first).map(revived));
    case 'regexp':
      return regexpOf(textIn(first), textIn(second), Number(third));
    case 'error':
      return errorOf(first, listIn(second));
    case 'bytes':
      return bytesOf(textIn(first), textIn(second));
    case 'object':
      return withProperties({}, listIn(first));
    case 'null-prototype':
      return withProperties(Object.create(null), listIn(first));
    default:
      throw new TypeError('an encoded value has an unknown tag');
  }
}

function withProperties(target: object, entries: readonly unknown[]): object {
  for (const entry of entries) {
    const [key, part, isEnumerable = 1] = listIn(entry);
    define(target, textIn(key), revived(part), isEnumerable === 1);
  }
  return target;
}

/** Assigning to `__proto__` would change the prototype instead. */
function define(target: object, key: string, value: unknown, enumerable = true): void {
  Object.defineProperty(target, key, { value, enumerable, writable: true, configurable: true });
}

function errorOf(name: unknown, properties: readonly unknown[]): Error {
  if (!isErrorName(name)) throw new TypeError('an encoded error is of an unknown class');
  const error = emptyError(name);
  withProperties(error, properties);
  return error;
}

function entryOf(entry: unknown): [unknown, unknown] {
  const [key, part] = listIn(entry);
  return [revived(key), revived(part)];
}

function regexpOf(source: string, flags: string, lastIndex: number): RegExp {
  const pattern = new RegExp(source, flags);
  pattern.lastIndex = lastIndex;
  return pattern;
}

function bytesOf(name: string, base64: string): ArrayBuffer | ArrayBufferView {
  // Not of the pool, whose eight kilobytes a small buffer would keep alive.
  const bytes = Buffer.alloc(Buffer.byteLength(base64, 'base64'));
  bytes.write(base64, 'base64');
  if (name === 'Buffer') return bytes;
  const { buffer } = bytes;
  if (name === 'ArrayBuffer') return buffer;
  if (!isViewName(name)) throw new TypeError('encoded bytes are of an unknown class');
  return viewOf(name, buffer);
}

function listIn(value: unknown): unknown[] {
  if (!Array.isArray(value)) throw new TypeError('an encoded value lacks a list');
  return value;
}

function textIn(value: unknown): string {
  if (typeof value !== 'string') throw new TypeError('an encoded value lacks a text');
  return value;
}
