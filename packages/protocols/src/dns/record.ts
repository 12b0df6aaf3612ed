import { isIP } from 'node:net';
import {
  InvalidOptionError,
  type OptionRule,
  integer,
  oneOf,
  parseOptions,
} from '@holdfast/foundation';
import { type ResourceRecord, encodeName } from './message.ts';

interface Named {
  /** Such as `db.test`; letters of either case are the same. */
  readonly name: string;
  /** How long who asked may remember it. Default 60. */
  readonly ttlSeconds?: number;
}

/** What the server knows of one name. */
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
    });

export type DnsRecordType = DnsRecord['type'];

/** Numbers of the types: RFC 1035, 3596 and 2782. */
export const typeNumbers: Readonly<Record<DnsRecordType, number>> = {
  A: 1,
  CNAME: 5,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
};
export const CLASS_INTERNET = 1;
const MAX_TTL_SECONDS = 2_147_483_647;
const MAX_TEXT_BYTES = 4_096;
const PIECE_BYTES = 255;

const label = '[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?';
const wholeName = new RegExp(String.raw`^${label}(?:\.${label})*$`, 'i');

/** A name with labels of letters, digits, hyphens and underscores. */
export const nameRule: OptionRule<string> = {
  permitted: 'a DNS name without a dot at its end',
  parse(value, field, owner) {
    if (typeof value === 'string' && value.length <= 253 && wholeName.test(value)) return value;
    throw new InvalidOptionError(owner, field, value, this.permitted);
  },
};

/** @param family which addresses it takes; absent: both. */
export function addressRule(family?: 4 | 6): OptionRule<string> {
  return {
    permitted: family === undefined ? 'an IP address' : `an IPv${family} address`,
    parse(value, field, owner) {
      // An address with a zone, such as fe80::1%lo, means something on one machine alone.
      const found = typeof value === 'string' && !value.includes('%') ? isIP(value) : 0;
      if (typeof value === 'string' && found !== 0 && (family ?? found) === found) return value;
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
export const ttlRule: OptionRule<number> = integer({ min: 0, max: MAX_TTL_SECONDS, default: 60 });
const typeRule = oneOf<DnsRecordType>(['A', 'AAAA', 'CNAME', 'TXT', 'SRV']);
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
};

/** One record, checked by the rules of its type. */
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
    return { ...parseOptions(owner, shapes.SRV, value, field), type };
  },
};

/** The record as it goes into a message. */
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
  if (record.type !== 'SRV') return addressBytes(record.address);
  const { priority = 0, weight = 0, port, target } = record;
  const head = Buffer.alloc(6);
  for (const [place, value] of [priority, weight, port].entries()) {
    head.writeUInt16BE(value, 2 * place);
  }
  return Buffer.concat([head, encodeName(target)]);
}

/** Pieces of up to 255 bytes, each behind its length; at least one. */
function textBytes(text: string): Buffer {
  const bytes = Buffer.from(text, 'utf8');
  const pieces: Buffer[] = [];
  for (let at = 0; at === 0 || at < bytes.length; at += PIECE_BYTES) {
    const piece = bytes.subarray(at, at + PIECE_BYTES);
    pieces.push(Buffer.from([piece.length]), piece);
  }
  return Buffer.concat(pieces);
}

/** The 4 or 16 bytes of an address that is known to be one. */
function addressBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number));
  // The host's own parser writes out an address that ends in the older form.
  const [head = '', tail = ''] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::');
  const groups = (text: string): number[] =>
    text === '' ? [] : text.split(':').map((group) => parseInt(group, 16));
  const [before, after] = [groups(head), groups(tail)];
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => 0);
  return Buffer.from([...before, ...zeros, ...after].flatMap((each) => [each >> 8, each & 0xff]));
}
