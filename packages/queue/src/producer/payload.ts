import {
  isAnyArrayBuffer,
  isBoxedPrimitive,
  isDate,
  isMap,
  isNativeError,
  isPromise,
  isRegExp,
  isSet,
} from 'node:util/types';
import { InvalidOptionError } from '@holdfast/foundation';
import { PayloadTooLargeError } from '../errors.ts';

const CONTROL_OR_BRACE = /[\p{Cc}{}]/u;
const MAX_NAME_LENGTH = 200;
const MAX_DEPTH = 500;

/** @throws InvalidOptionError unless `topic` can name a topic. */
export function checkTopic(owner: string, topic: unknown): string {
  return checkName(owner, 'topic', topic);
}

/** @throws InvalidOptionError unless `jobId` can name a job. */
export function checkJobId(owner: string, jobId: unknown): string {
  return checkName(owner, 'jobId', jobId);
}

function checkName(owner: string, field: string, value: unknown): string {
  const fits =
    typeof value === 'string' &&
    value.length > 0 &&
    value.length <= MAX_NAME_LENGTH &&
    value.isWellFormed() &&
    !CONTROL_OR_BRACE.test(value);
  if (fits) return value;
  const permitted = `a string of 1 to ${MAX_NAME_LENGTH} characters without control characters or braces`;
  throw new InvalidOptionError(owner, field, value, permitted);
}

/**
 * Serializes the payload as JSON without loss.
 * @param index its place in the list of `enqueueMany`.
 * @throws InvalidOptionError naming the part that JSON would lose; PayloadTooLargeError.
 */
export function serializePayload(
  topic: string,
  payload: unknown,
  maxPayloadBytes: number,
  index?: number,
): string {
  const part = lossyPart(payload, []);
  if (part !== undefined) {
    const owner = index === undefined ? 'enqueue' : 'enqueueMany';
    const path = index === undefined ? pathOf(part) : `jobs[${index}].${pathOf(part)}`;
    throw new InvalidOptionError(owner, path, part.value, part.permitted);
  }
  const json = JSON.stringify(payload);
  // A character takes at most three bytes, so the bytes of most payloads need not be counted.
  const bytes = json.length * 3 <= maxPayloadBytes ? 0 : Buffer.byteLength(json);
  if (bytes > maxPayloadBytes) throw new PayloadTooLargeError(topic, bytes, maxPayloadBytes);
  return json;
}

/**
 * The JSON of a value without loss.
 * @param root what the value is called in errors.
 * @throws InvalidOptionError naming the part that JSON would lose.
 */
export function serializeValue(value: unknown, root: string): string {
  const part = lossyPart(value, []);
  if (part === undefined) return JSON.stringify(value);
  throw new InvalidOptionError(root, pathOf(part, root), part.value, part.permitted);
}

/** A part of the payload that JSON would lose, and its path. */
interface LossyPart {
  readonly value: unknown;
  readonly permitted: string;
  /** From the part outwards, collected while returning: a payload without loss pays for no path. */
  readonly steps: (string | number)[];
}

function pathOf({ steps }: LossyPart, root = 'payload'): string {
  return steps.reduceRight<string>(
    (path, step) => (typeof step === 'number' ? `${path}[${step}]` : `${path}.${step}`),
    root,
  );
}

/** `undefined` as a field of an object is allowed: JSON omits the field, as intended. */
function lossyPart(value: unknown, above: object[]): LossyPart | undefined {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return undefined;
  if (typeof value === 'object') return lossyInObject(value, above);
  if (typeof value !== 'number') return lossy(value, 'a value JSON can hold');
  return Number.isFinite(value) ? undefined : lossy(value, 'a finite number');
}

function lossyInObject(value: object, above: object[]): LossyPart | undefined {
  if (above.includes(value)) return lossy(value, 'free of references to what contains it');
  if (above.length === MAX_DEPTH) return lossy(value, `nested at most ${MAX_DEPTH} deep`);
  above.push(value);
  const found = lossyInside(value, above);
  above.pop();
  return found;
}

function lossyInside(value: object, above: object[]): LossyPart | undefined {
  const toJSON: unknown = 'toJSON' in value ? value.toJSON : undefined;
  if (typeof toJSON === 'function') return lossyInJson(value, toJSON, above);
  if (Array.isArray(value)) return lossyInList(value, above);
  const keys = Object.keys(value);
  if (!isPlain(value) && isOpaque(value, keys)) return lossy(value, AS_JSON);
  if (keys.length === 0 && Reflect.ownKeys(value).length > 0) return lossy(value, AS_JSON);
  return lossyInFields(value, keys, above);
}

const AS_JSON = 'a plain object, an array or something with a toJSON method';

/** What its `toJSON` returns is stored; it is not asked for its own `toJSON`. */
function lossyInJson(value: object, toJSON: object, above: object[]): LossyPart | undefined {
  if (isDate(value)) {
    return Number.isNaN(value.getTime()) ? lossy(value, 'a valid date') : undefined;
  }
  if (Buffer.isBuffer(value) || value instanceof URL) return undefined;
  const json: unknown = typeof toJSON === 'function' ? Reflect.apply(toJSON, value, ['']) : toJSON;
  if (typeof json !== 'object' || json === null) {
    const part = lossyPart(json, above);
    return part && lossy(value, 'something whose toJSON returns a value JSON can hold');
  }
  if (Array.isArray(json)) return lossyInList(json, above);
  const keys = Object.keys(json);
  if (!isPlain(json) && isOpaque(json, keys)) return lossy(json, AS_JSON);
  return lossyInFields(json, keys, above);
}

/** An object of any realm whose fields are all it has. */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return (
    prototype === Object.prototype ||
    prototype === null ||
    (typeof prototype === 'object' && Object.getPrototypeOf(prototype) === null)
  );
}

/** Whether JSON does not see what the object holds, such as the entries of a Map or the message of an Error. */
function isOpaque(value: object, keys: readonly string[]): boolean {
  return (
    keys.length === 0 ||
    isNativeError(value) ||
    isBoxedPrimitive(value) ||
    ArrayBuffer.isView(value) ||
    isMap(value) ||
    isSet(value) ||
    isPromise(value) ||
    isRegExp(value) ||
    isAnyArrayBuffer(value)
  );
}

function lossyInList(list: readonly unknown[], above: object[]): LossyPart | undefined {
  for (let index = 0; index < list.length; index += 1) {
    const found = lossyPart(list[index], above);
    if (found !== undefined) return under(index, found);
  }
  return undefined;
}

function lossyInFields(
  value: object,
  keys: readonly string[],
  above: object[],
): LossyPart | undefined {
  for (const key of keys) {
    const field: unknown = Reflect.get(value, key);
    const found = field === undefined ? undefined : lossyPart(field, above);
    if (found !== undefined) return under(key, found);
  }
  return undefined;
}

function lossy(value: unknown, permitted: string): LossyPart {
  return { value, permitted, steps: [] };
}

function under(step: string | number, part: LossyPart): LossyPart {
  part.steps.push(step);
  return part;
}
