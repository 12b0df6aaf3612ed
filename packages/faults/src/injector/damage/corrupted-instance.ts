import { types } from 'node:util';
import type { Random } from '@holdfast/foundation';
import { changeOne, corruptedBytes, corruptedText } from './corrupted-values.ts';

const DAY_MS = 86_400_000;

/** Changes a value within an object. */
type Corrupt = <V>(value: V) => V;

/** Returns a copy of the same type with one value changed, or the object itself where nothing can be changed. */
export function corruptedInstance(result: object, corrupt: Corrupt, random: Random): unknown {
  if (types.isDate(result)) {
    const days = 1 + Math.floor(random() * 9);
    return Number.isNaN(result.getTime())
      ? result
      : ofSameClass(new Date(result.getTime() + days * DAY_MS), result);
  }
  if (ArrayBuffer.isView(result)) return corruptedView(result, random);
  if (types.isArrayBuffer(result)) {
    return result.byteLength === 0 ? result : corruptedBytes(new Uint8Array(result), random).buffer;
  }
  if (types.isMap(result)) {
    const entries = [...result];
    const values = entries.map(([, value]) => value);
    const changed = changeOne(values, corrupt, random);
    if (changed === undefined) return result;
    const copy = entries.map(([key, value], at) => [
      key,
      at === changed.at ? changed.value : value,
    ]);
    return ofSameClass(new Map(copy.map(([key, value]) => [key, value])), result);
  }
  if (types.isSet(result)) {
    const values = [...result];
    const changed = changeOne(values, corrupt, random);
    if (changed === undefined) return result;
    return ofSameClass(new Set(values.with(changed.at, changed.value)), result);
  }
  if (isUrl(result)) {
    const copy = new URL(result.href);
    copy.pathname = corruptedText(`${copy.pathname}0`, random);
    return copy;
  }
  return isLive(result) ? result : corruptedFields(result, corrupt, random);
}

/** Whether a value is no data but something to call: a function, client, stream, promise, error or handle. */
export function isLive(value: unknown): boolean {
  if (typeof value === 'function') return true;
  if (typeof value !== 'object' || value === null) return false;
  return (
    types.isNativeError(value) ||
    types.isPromise(value) ||
    types.isWeakMap(value) ||
    types.isWeakSet(value) ||
    types.isGeneratorObject(value) ||
    types.isRegExp(value) ||
    types.isSharedArrayBuffer(value) ||
    types.isExternal(value) ||
    Symbol.asyncIterator in value ||
    ['then', 'emit', 'pipe', 'getReader', 'arrayBuffer', 'addEventListener', 'send'].some(
      (name) => typeof Reflect.get(value, name) === 'function',
    )
  );
}

function corruptedView(view: ArrayBufferView, random: Random): unknown {
  if (view.byteLength === 0) return view;
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  const { buffer } = corruptedBytes(bytes, random);
  return Buffer.isBuffer(view)
    ? Buffer.from(buffer)
    : Reflect.construct(view.constructor, [buffer]);
}

/** Changes one field of a plain object or an instance of a class. */
function corruptedFields(result: object, corrupt: Corrupt, random: Random): object {
  const keys = Object.keys(result);
  const values = keys.map((key): unknown => Reflect.get(result, key));
  const changed = changeOne(values, corrupt, random);
  const key = changed === undefined ? undefined : keys[changed.at];
  if (changed === undefined || key === undefined) return result;
  if (hasPrivateFields(result)) return withField(result, key, changed.value);
  const fields = Object.getOwnPropertyDescriptors(result);
  const field = { value: changed.value, writable: true, enumerable: true, configurable: true };
  return Object.create(Object.getPrototypeOf(result), { ...fields, [key]: field });
}

/** A copy would lack the private fields, so its methods are called on the object itself. */
function withField(result: object, key: string, value: unknown): object {
  if (Object.getOwnPropertyDescriptor(result, key)?.configurable !== true) return result;
  return new Proxy(result, {
    get(target, name) {
      if (name === key) return value;
      const member: unknown = Reflect.get(target, name, target);
      return typeof member === 'function' && name !== 'constructor' ? member.bind(target) : member;
    },
    getOwnPropertyDescriptor(target, name) {
      const own = Reflect.getOwnPropertyDescriptor(target, name);
      return name === key && own !== undefined ? { ...own, value } : own;
    },
  });
}

/** Whether a class of the object has fields that begin with `#`. */
function hasPrivateFields(value: object): boolean {
  let prototype: unknown = Object.getPrototypeOf(value);
  while (typeof prototype === 'object' && prototype !== null) {
    const { constructor } = prototype;
    if (typeof constructor === 'function' && /(?:^|[^\w'"`])#\w/.test(String(constructor)))
      return true;
    prototype = Object.getPrototypeOf(prototype);
  }
  return false;
}

/** By its tag, which is the same in every realm. */
function isUrl(value: object): value is URL {
  return Object.prototype.toString.call(value) === '[object URL]';
}

function ofSameClass<T extends object>(copy: T, original: object): T {
  return Object.setPrototypeOf(copy, Object.getPrototypeOf(original));
}
