import type { ProxyFaultSpec } from '../proxy/fault-kinds.ts';
import { type ApiFailure, badRequest, invalidStream, invalidToxicType } from './api-failure.ts';

/** A toxic in Toxiproxy's API. */
export interface Toxic {
  readonly name: string;
  readonly type: ToxicType;
  readonly stream: 'upstream' | 'downstream';
  /** The share of the connections it applies to, 0 to 1. */
  readonly toxicity: number;
  readonly attributes: Readonly<Record<string, number>>;
}

type ToxicType =
  | 'noop'
  | 'latency'
  | 'bandwidth'
  | 'slow_close'
  | 'timeout'
  | 'reset_peer'
  | 'slicer'
  | 'limit_data';

type Fields = Readonly<Record<string, unknown>>;

/** The attributes of each type; an absent one is 0. */
const attributesOf: Readonly<Record<ToxicType, readonly string[]>> = {
  noop: [],
  latency: ['latency', 'jitter'],
  bandwidth: ['rate'],
  slow_close: ['delay'],
  timeout: ['timeout'],
  reset_peer: ['timeout'],
  slicer: ['average_size', 'size_variation', 'delay'],
  limit_data: ['bytes'],
};

/** Parses the fields of a new toxic. */
export function parseToxic(fields: Fields): Toxic | ApiFailure {
  const { stream: givenStream = 'downstream', type } = fields;
  // Go's clients send an empty text for what is not set.
  const stream = givenStream === '' ? 'downstream' : givenStream;
  if (stream !== 'upstream' && stream !== 'downstream') return invalidStream;
  if (!isToxicType(type)) return invalidToxicType;
  const given = fields['name'];
  const name = given === undefined || given === '' ? `${type}_${stream}` : given;
  if (typeof name !== 'string') return badRequest('name is no string');
  return changedToxic({ name, type, stream, toxicity: 1, attributes: {} }, fields);
}

/** Returns a toxic with changed attributes or toxicity; others stay. */
export function changedToxic(toxic: Toxic, fields: Fields): Toxic | ApiFailure {
  const { toxicity = toxic.toxicity, attributes: changes = {} } = fields;
  if (typeof toxicity !== 'number' || !(toxicity >= 0 && toxicity <= 1)) {
    return badRequest('toxicity is not between 0 and 1');
  }
  if (!isFields(changes)) return badRequest('attributes are no object');
  const attributes: Record<string, number> = {};
  for (const name of attributesOf[toxic.type]) {
    const value = changes[name] ?? toxic.attributes[name] ?? 0;
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
      return badRequest(`${name} is no whole number from 0`);
    }
    attributes[name] = value;
  }
  return { ...toxic, toxicity, attributes };
}

/** Returns the fault of a proxy that equals a toxic; undefined for a toxic that changes nothing. */
export function faultOf(toxic: Toxic): ProxyFaultSpec | undefined {
  const attribute = (name: string): number => toxic.attributes[name] ?? 0;
  const probability = toxic.toxicity;
  const direction = toxic.stream === 'upstream' ? 'toServer' : 'toClient';
  const common = { probability, direction } as const;
  switch (toxic.type) {
    case 'latency': {
      const options = { ...common, latencyMs: attribute('latency'), jitterMs: attribute('jitter') };
      return { kind: 'latency', options };
    }
    case 'bandwidth':
      if (attribute('rate') === 0) return undefined;
      return {
        kind: 'bandwidth',
        options: { ...common, bytesPerSecond: attribute('rate') * 1_000 },
      };
    case 'slow_close':
      return { kind: 'slowClose', options: { ...common, delayMs: attribute('delay') } };
    case 'timeout':
      if (attribute('timeout') === 0) return { kind: 'blackhole', options: common };
      return { kind: 'timeout', options: { ...common, timeoutMs: attribute('timeout') } };
    case 'reset_peer':
      return { kind: 'reset', options: { probability, afterMs: attribute('timeout') } };
    case 'slicer': {
      const sliceBytes = Math.max(1, attribute('average_size'));
      // Its variation is to be less than its size; Toxiproxy takes others too.
      const jitterBytes = Math.min(attribute('size_variation'), sliceBytes - 1);
      // This delay is in microseconds.
      return {
        kind: 'slice',
        options: { ...common, sliceBytes, jitterBytes, delayMs: attribute('delay') / 1_000 },
      };
    }
    case 'limit_data':
      return { kind: 'limitData', options: { ...common, maxBytes: attribute('bytes') } };
    case 'noop':
    default:
      return undefined;
  }
}

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isToxicType(value: unknown): value is ToxicType {
  return typeof value === 'string' && Object.hasOwn(attributesOf, value);
}
