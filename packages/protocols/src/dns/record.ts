import { isIP } from 'node:net';
import {
  InvalidOptionError,
  type OptionRule,
  integer,
  oneOf,
  parseOptions,
} from '@holdfast/foundation';
import { addressBytes } from '../ip-address.ts';
import { DnsFormatError, type ResourceRecord, encodeName } from './message.ts';

interface Named {
  /** Such as `db.test`; case does not matter. */
  readonly name: string;
  /** How long a resolver may cache the record. Default 60. */
  readonly ttlSeconds?: number;
}

/** One resource record of a zone. */
export type DnsRecord =
  | (Named & { readonly type: 'A' | 'AAAA'; readonly address: string })
  | (Named & { readonly type: 'CNAME'; readonly target: string })
  | (Named & { readonly type: 'TXT'; readonly text: string })
  | (Named & {
      readonly type: 'SRV';
      readonly target: string;
      readonly port: number;
      /** Default 0. */
      readonly priority?: number;
      /** Default 0. */
      readonly weight?: number;
    })
  | (Named & {
      /** The record of authority of a zone: how long resolvers may cache that something does not exist in it. */
      readonly type: 'SOA';
      /** With `ttlSeconds`, of which the smaller counts (RFC 2308, section 5). */
      readonly negativeTtlSeconds: number;
      /** Default 1. */
      readonly serial?: number;
    });

/** A type of record that is understood. */
export type DnsRecordType = DnsRecord['type'];

/** Type numbers of RFC 1035, 3596 and 2782. */
export const typeNumbers: Readonly<Record<DnsRecordType, number>> = {
  A: 1,
  CNAME: 5,
  SOA: 6,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
};
/** The class of every record of the Internet. */
export const CLASS_INTERNET = 1;
const MAX_TTL_SECONDS = 2_147_483_647;
const MAX_TEXT_BYTES = 4_096;
const TEXT_PART_BYTES = 255;

const label = '[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?';
const dnsName = new RegExp(String.raw`^${label}(?:\.${label})*$`, 'i');

/** Accepts a name whose labels consist of letters, digits, hyphens and underscores. */
export const nameRule: OptionRule<string> = {
  permitted: 'a DNS name without a dot at its end',
  parse(value, field, owner) {
    if (typeof value === 'string' && value.length <= 253 && dnsName.test(value)) return value;
    throw new InvalidOptionError(owner, field, value, this.permitted);
  },
};

/**
 * A rule for an IP address, of one family or of both, without a zone.
 * @param family 4 or 6 to accept one address family only.
 */
export function addressRule(family?: 4 | 6): OptionRule<string> {
  return {
    permitted: family === undefined ? 'an IP address' : `an IPv${family} address`,
    parse(value, field, owner) {
      // A zone (fe80::1%lo) has a meaning on one machine only.
      const actual = typeof value === 'string' && !value.includes('%') ? isIP(value) : 0;
      if (typeof value === 'string' && actual !== 0 && (family ?? actual) === actual) return value;
      throw new InvalidOptionError(owner, field, value, this.permitted);
    },
  };
}

const textRule: OptionRule<string> = {
  permitted: `a string of up to ${MAX_TEXT_BYTES} bytes`,
  parse(value, field, owner) {
    if (typeof value === 'string' && Buffer.byteLength(value) <= MAX_TEXT_BYTES) return value;
    throw new InvalidOptionError(owner, field, value, this.permitted);
  },
};

const word = integer({ min: 0, max: 65_535, default: 0 });
/** A rule for a time to live, in seconds. Default 60. */
export const ttlRule: OptionRule<number> = integer({ min: 0, max: MAX_TTL_SECONDS, default: 60 });
const typeRule = oneOf<DnsRecordType>(['A', 'AAAA', 'CNAME', 'TXT', 'SRV', 'SOA']);
const named = { name: nameRule, type: typeRule, ttlSeconds: ttlRule };
const shapes = {
  A: { ...named, address: addressRule(4) },
  AAAA: { ...named, address: addressRule(6) },
  CNAME: { ...named, target: nameRule },
  TXT: { ...named, text: textRule },
  SRV: {
    ...named,
    target: nameRule,
    port: integer({ min: 0, max: 65_535 }),
    priority: word,
    weight: word,
  },
  SOA: {
    ...named,
    negativeTtlSeconds: integer({ min: 0, max: MAX_TTL_SECONDS }),
    serial: integer({ min: 0, max: 4_294_967_295, default: 1 }),
  },
};

/** Validates one record by the rules of its type. */
export const recordRule: OptionRule<DnsRecord> = {
  permitted: 'an object',
  parse(value, field, owner) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new InvalidOptionError(owner, field, value, this.permitted);
    }
    const given = 'type' in value ? value.type : undefined;
    const type = typeRule.parse(given, `${field}.type`, owner);
    if (type === 'A' || type === 'AAAA') {
      return { ...parseOptions(owner, shapes[type], value, field), type };
    }
    if (type === 'CNAME') return { ...parseOptions(owner, shapes.CNAME, value, field), type };
    if (type === 'TXT') return { ...parseOptions(owner, shapes.TXT, value, field), type };
    if (type === 'SOA') return { ...parseOptions(owner, shapes.SOA, value, field), type };
    return { ...parseOptions(owner, shapes.SRV, value, field), type };
  },
};

/** Converts a record to its form in a message. */
export function toResource(record: DnsRecord): ResourceRecord {
  return {
    name: record.name,
    type: typeNumbers[record.type],
    class: CLASS_INTERNET,
    ttlSeconds: record.ttlSeconds ?? 60,
    data: dataOf(record),
  };
}

function dataOf(record: DnsRecord): Buffer {
  if (record.type === 'CNAME') return encodeName(record.target);
  if (record.type === 'TXT') return textBytes(record.text);
  if (record.type === 'SOA') return authorityBytes(record.serial ?? 1, record.negativeTtlSeconds);
  if (record.type !== 'SRV') return addressBytes(record.address);
  const { priority = 0, weight = 0, port, target } = record;
  const head = Buffer.alloc(6);
  for (const [index, value] of [priority, weight, port].entries()) {
    head.writeUInt16BE(value, 2 * index);
  }
  return Buffer.concat([head, encodeName(target)]);
}

/** The names of the server and of its keeper, then serial, refresh, retry, expire and minimum: RFC 1035, 3.3.13. */
function authorityBytes(serial: number, negativeTtlSeconds: number): Buffer {
  const tail = Buffer.alloc(20);
  for (const [index, value] of [serial, 3_600, 600, 86_400, negativeTtlSeconds].entries()) {
    tail.writeUInt32BE(value, 4 * index);
  }
  return Buffer.concat([encodeName('ns.invalid'), encodeName('hostmaster.invalid'), tail]);
}

/** How long it may be cached that something does not exist, by the record of authority that says so (RFC 2308). */
export function negativeTtlSecondsOf({ ttlSeconds, data }: ResourceRecord): number {
  if (data.length < 22) throw new DnsFormatError('a record of authority that is too short');
  return Math.min(ttlSeconds, data.readUInt32BE(data.length - 4));
}

/** Encodes a text as one or more character strings of at most 255 bytes, each preceded by its length. */
function textBytes(text: string): Buffer {
  const bytes = Buffer.from(text, 'utf8');
  const parts: Buffer[] = [];
  for (let at = 0; at === 0 || at < bytes.length; at += TEXT_PART_BYTES) {
    const part = bytes.subarray(at, at + TEXT_PART_BYTES);
    parts.push(Buffer.from([part.length]), part);
  }
  return Buffer.concat(parts);
}
