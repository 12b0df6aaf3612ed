import { isDate, isMap, isRegExp, isSet, isTypedArray } from 'node:util/types';
import { InvalidOptionError } from '@holdfast/resilience';
import { PayloadTooLargeError } from './errors.ts';

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
 * The payload as JSON that says the same when read back.
 * @throws InvalidOptionError naming the part JSON would lose; PayloadTooLargeError.
 */
export function serialisePayload(topic: string, payload: unknown, maxPayloadBytes: number): string {
  refuseLossy(payload, 'payload', new Set());
  const json = JSON.stringify(payload);
  const bytes = Buffer.byteLength(json);
  if (bytes > maxPayloadBytes) throw new PayloadTooLargeError(topic, bytes, maxPayloadBytes);
  return json;
}

/** `undefined` inside an object is the one loss allowed: leaving a field out is how it is meant. */
function refuseLossy(value: unknown, path: string, above: Set<object>): void {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return;
  if (typeof value === 'object') refuseLossyObject(value, path, above);
  else if (typeof value !== 'number') refuse(path, value, 'a value JSON can hold');
  else if (!Number.isFinite(value)) refuse(path, value, 'a finite number');
}

function refuseLossyObject(value: object, path: string, above: Set<object>): void {
  if (above.has(value)) refuse(path, value, 'free of references to what contains it');
  if (above.size === MAX_DEPTH) refuse(path, value, `nested at most ${MAX_DEPTH} deep`);
  if (isMap(value) || isSet(value) || isRegExp(value) || isTypedArray(value)) {
    refuse(path, value, 'a plain object, an array or something with a toJSON method');
  }
  if (isDate(value) && Number.isNaN(value.getTime())) refuse(path, value, 'a valid date');
  if ('toJSON' in value && typeof value.toJSON === 'function') return;
  above.add(value);
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) refuseLossy(item, `${path}[${index}]`, above);
  } else {
    for (const [key, item] of Object.entries(value)) {
      if (item !== undefined) refuseLossy(item, `${path}.${key}`, above);
    }
  }
  above.delete(value);
}

function refuse(path: string, value: unknown, permitted: string): never {
  throw new InvalidOptionError('enqueue', path, value, permitted);
}
