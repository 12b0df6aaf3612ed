import { isDate, isMap, isRegExp, isSet, isTypedArray } from 'node:util/types';
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
 * @throws InvalidOptionError naming the part that JSON would lose; PayloadTooLargeError.
 */
export function serializePayload(topic: string, payload: unknown, maxPayloadBytes: number): string {
  const part = lossyPart(payload, []);
  if (part !== undefined) {
    throw new InvalidOptionError('enqueue', pathOf(part), part.value, part.permitted);
  }
  const json = JSON.stringify(payload);
  // A character takes at most three bytes, so the bytes of most payloads need not be counted.
  const bytes = json.length * 3 <= maxPayloadBytes ? 0 : Buffer.byteLength(json);
  if (bytes > maxPayloadBytes) throw new PayloadTooLargeError(topic, bytes, maxPayloadBytes);
  return json;
}

/** A part of the payload that JSON would lose, and its path. */
interface LossyPart {
  readonly value: unknown;
  readonly permitted: string;
  /** From the part outwards, collected while returning: a payload without loss pays for no path. */
  readonly steps: (string | number)[];
}

function pathOf({ steps }: LossyPart): string {
  return steps.reduceRight<string>(
    (path, step) => (typeof step === 'number' ? `${path}[${step}]` : `${path}.${step}`),
    'payload',
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
  if (isMap(value) || isSet(value) || isRegExp(value) || isTypedArray(value)) {
    return lossy(value, 'a plain object, an array or something with a toJSON method');
  }
  if (isDate(value) && Number.isNaN(value.getTime())) return lossy(value, 'a valid date');
  if ('toJSON' in value && typeof value.toJSON === 'function') return undefined;
  above.push(value);
  const found = Array.isArray(value)
    ? lossyInList(value, above)
    : lossyInFields(Object.entries(value), above);
  above.pop();
  return found;
}

function lossyInList(list: readonly unknown[], above: object[]): LossyPart | undefined {
  for (let index = 0; index < list.length; index += 1) {
    const found = lossyPart(list[index], above);
    if (found !== undefined) return under(index, found);
  }
  return undefined;
}

function lossyInFields(
  fields: readonly (readonly [string, unknown])[],
  above: object[],
): LossyPart | undefined {
  for (const [key, field] of fields) {
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
