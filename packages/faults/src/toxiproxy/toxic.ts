import type { ProxyFaultSpec } from '../proxy/fault-kinds.ts';
import { type ApiFailure, badRequest, invalidStream, invalidToxicType } from './api-failure.ts';

/** A toxic as Toxiproxy's API shows it. */
export interface Toxic {
  readonly name: string;
  readonly type: ToxicType;
  readonly stream: 'upstream' | 'downstream';
  /** Share of the connections it is for, 0 to 1. */
  readonly toxicity: number;
  readonly attributes: Readonly<Record<string, number>>;
}

type ToxicType =
  | 'latency'
  | 'bandwidth'
  | 'slow_close'
  | 'timeout'
  | 'reset_peer'
  | 'slicer'
  | 'limit_data';

type Fields = Readonly<Record<string, unknown>>;

/** What each type takes; what is absent is 0. */
const attributesOf: Readonly<Record<ToxicType, readonly string[]>> = {
  latency: ['latency', 'jitter'],
  bandwidth: ['rate'],
  slow_close: ['delay'],
  timeout: ['timeout'],
  reset_peer: ['timeout'],
  slicer: ['average_size', 'size_variation', 'delay'],
  limit_data: ['bytes'],
};

/** Reads a toxic that is to be added. */
export function parseToxic(fields: Fields): Toxic | ApiFailure {
  const { stream = 'downstream', type } = fields;
  if (stream !== 'upstream' && stream !== 'downstream') return invalidStream;
  if (!isToxicType(type)) return invalidToxicType;
  const given = fields['name'];
  const name = given === undefined || given === '' ? `${type}_${stream}` : given;
  if (typeof name !== 'string') return badRequest('name is no string');
  return changedToxic({ name, type, stream, toxicity: 1, attributes: {} }, fields);
}

/** The same toxic with other attributes or toxicity; what is not named stays. */
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

/** The same in the proxy's own words; undefined where a toxic changes nothing. */
export function settingOf(toxic: Toxic): ProxyFaultSpec | undefined {
  const of = (name: string): number => toxic.attributes[name] ?? 0;
  const probability = toxic.toxicity;
  const direction = toxic.stream === 'upstream' ? 'toServer' : 'toClient';
  const aim = { probability, direction } as const;
  switch (toxic.type) {
    case 'latency': {
      const options = { ...aim, latencyMs: of('latency'), jitterMs: of('jitter') };
      return { kind: 'latency', options };
    }
    case 'bandwidth':
      if (of('rate') === 0) return undefined;
      return { kind: 'bandwidth', options: { ...aim, bytesPerSecond: of('rate') * 1_000 } };
    case 'slow_close':
      return { kind: 'slowClose', options: { ...aim, delayMs: of('delay') } };
    case 'timeout':
      if (of('timeout') === 0) return { kind: 'blackhole', options: aim };
      return { kind: 'timeout', options: { ...aim, timeoutMs: of('timeout') } };
    case 'reset_peer':
      return { kind: 'reset', options: { probability, afterMs: of('timeout') } };
    case 'slicer': {
      const sliceBytes = Math.max(1, of('average_size'));
      const jitterBytes = of('size_variation');
      // Toxiproxy counts this one in microseconds.
      return {
        kind: 'slice',
        options: { ...aim, sliceBytes, jitterBytes, delayMs: of('delay') / 1_000 },
      };
    }
    case 'limit_data':
      return { kind: 'limitData', options: { ...aim, maxBytes: of('bytes') } };
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
