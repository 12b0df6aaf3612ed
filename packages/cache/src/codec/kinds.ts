import { types } from 'node:util';

/** How a value is written: as JSON writes it, or with a tag of its own. */
type ValueKind =
  | 'json'
  | 'undefined'
  | 'number'
  | 'bigint'
  | 'array'
  | 'object'
  | 'null-prototype'
  | 'date'
  | 'map'
  | 'set'
  | 'regexp'
  | 'error'
  | 'bytes'
  | 'refused';

const errorConstructors: Readonly<Record<Exclude<ErrorName, 'AggregateError'>, new () => Error>> = {
  Error,
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
};
const viewConstructors: Readonly<Record<ViewName, new (buffer: ArrayBuffer) => ArrayBufferView>> = {
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
  DataView,
};

type ErrorName =
  | 'Error'
  | 'EvalError'
  | 'RangeError'
  | 'ReferenceError'
  | 'SyntaxError'
  | 'TypeError'
  | 'URIError'
  | 'AggregateError';
type ViewName =
  | 'Int8Array'
  | 'Uint8Array'
  | 'Uint8ClampedArray'
  | 'Int16Array'
  | 'Uint16Array'
  | 'Int32Array'
  | 'Uint32Array'
  | 'Float32Array'
  | 'Float64Array'
  | 'BigInt64Array'
  | 'BigUint64Array'
  | 'DataView';
type BytesName = ViewName | 'Buffer' | 'ArrayBuffer';

/** What kind a value is, of whatever realm it comes from; `refused` for everything that would change. */
export function kindOf(value: unknown): ValueKind {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return 'json';
    case 'number':
      return Number.isFinite(value) && !Object.is(value, -0) ? 'json' : 'number';
    case 'bigint':
      return 'bigint';
    case 'undefined':
      return 'undefined';
    case 'object':
      return value === null ? 'json' : kindOfObject(value);
    case 'symbol':
    case 'function':
      return 'refused';
  }
  return 'refused';
}

function kindOfObject(value: object): ValueKind {
  if (Array.isArray(value)) return isDirect(value) ? 'array' : 'refused';
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === null) return 'null-prototype';
  if (isRoot(prototype))
    return types.isBoxedPrimitive(value) || isExotic(value) ? 'refused' : 'object';
  if (types.isNativeError(value)) return errorNameOf(value) === undefined ? 'refused' : 'error';
  if (bytesNameOf(value) !== undefined) return 'bytes';
  if (!isDirect(value)) return 'refused';
  if (types.isDate(value)) return 'date';
  if (types.isMap(value)) return 'map';
  if (types.isSet(value)) return 'set';
  if (types.isRegExp(value)) return 'regexp';
  return 'refused';
}

/** Such as `Date.prototype` given to an object that is none, or `Math` and `JSON`, whose prototype is the root. */
function isExotic(value: object): boolean {
  return Object.hasOwn(value, Symbol.toStringTag) || types.isDate(value) || types.isMap(value);
}

/** Whether it is the `Object.prototype` of any realm. */
function isRoot(prototype: unknown): boolean {
  return (
    prototype === Object.prototype ||
    (typeof prototype === 'object' &&
      prototype !== null &&
      Object.getPrototypeOf(prototype) === null &&
      Object.hasOwn(prototype, 'isPrototypeOf'))
  );
}

/** Whether its prototype is the one of a class of the language and not of a class derived from it. */
function isDirect(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return (
    typeof prototype === 'object' && prototype !== null && isRoot(Object.getPrototypeOf(prototype))
  );
}

/** The class of an error of the language; `undefined` for a class derived from it. */
export function errorNameOf(error: object): ErrorName | undefined {
  const name = constructorNameOf(error);
  if (name === undefined || !isErrorName(name)) return undefined;
  const levels = name === 'Error' ? 2 : 3;
  return prototypesOf(error) === levels ? name : undefined;
}

/** The class of a buffer or a view of one; `undefined` for anything else. */
export function bytesNameOf(value: object): BytesName | undefined {
  if (Buffer.isBuffer(value)) return 'Buffer';
  if (types.isArrayBuffer(value)) return isDirect(value) ? 'ArrayBuffer' : undefined;
  if (!ArrayBuffer.isView(value) || types.isSharedArrayBuffer(value.buffer)) return undefined;
  const name = constructorNameOf(value);
  return name !== undefined && isViewName(name) ? name : undefined;
}

export function isErrorName(name: unknown): name is ErrorName {
  return (
    typeof name === 'string' &&
    (name === 'AggregateError' || Object.hasOwn(errorConstructors, name))
  );
}

export function isViewName(name: unknown): name is ViewName {
  return typeof name === 'string' && Object.hasOwn(viewConstructors, name);
}

/** An error of the class without own properties but its stack. */
export function emptyError(name: ErrorName): Error {
  return name === 'AggregateError' ? new AggregateError([]) : new errorConstructors[name]();
}

export function viewOf(name: ViewName, buffer: ArrayBuffer): ArrayBufferView {
  return new viewConstructors[name](buffer);
}

function constructorNameOf(value: object): string | undefined {
  const prototype: unknown = Object.getPrototypeOf(value);
  const made: unknown = Object.getOwnPropertyDescriptor(prototype ?? {}, 'constructor')?.value;
  return typeof made === 'function' ? made.name : undefined;
}

function prototypesOf(value: object): number {
  let levels = 0;
  let prototype: unknown = Object.getPrototypeOf(value);
  while (typeof prototype === 'object' && prototype !== null) {
    levels += 1;
    prototype = Object.getPrototypeOf(prototype);
  }
  return levels;
}
