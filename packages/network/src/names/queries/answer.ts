import {
  DnsFormatError,
  type DnsMessage,
  type ResourceRecord,
  decodeName,
  negativeTtlSecondsOf,
  responseCodes,
  typeNumbers,
} from '@holdfast/protocols/dns';
import type { NameAnswer } from '../resolver.ts';

/** What a response says; `failed` where it says nothing about the name. */
export type ReadAnswer = NameAnswer | { readonly kind: 'failed'; readonly reason: string };

/** More aliases in a row than any zone needs. */
const MAX_ALIASES = 16;
/** RFC 2308 leaves open how long an absence without a record of authority may be kept; this spares the servers. */
const NEGATIVE_TTL_MS = 1_000;
const MAX_TTL_SECONDS = 7 * 86_400;

const reasons: Readonly<Record<number, string>> = {
  [responseCodes.formatError]: 'FORMERR',
  [responseCodes.serverFailure]: 'SERVFAIL',
  [responseCodes.notImplemented]: 'NOTIMP',
  [responseCodes.refused]: 'REFUSED',
};

/**
 * Follows the aliases from `hostname` to its addresses. Records of other names count for nothing.
 * @throws DnsFormatError
 */
export function readAnswer(message: DnsMessage, hostname: string, family: 4 | 6): ReadAnswer {
  const { code } = message;
  if (code !== responseCodes.ok && code !== responseCodes.nameError) {
    return { kind: 'failed', reason: reasons[code] ?? `code ${code}` };
  }
  const { owner, ttlMs: aliasTtlMs, isLoop } = followAliases(message.answers, hostname);
  const type = family === 4 ? typeNumbers.A : typeNumbers.AAAA;
  const found = isLoop ? [] : message.answers.filter(isOf(owner, type));
  if (found.length > 0 && code === responseCodes.ok) {
    const addresses = [...new Set(found.map(({ data }) => addressText(data, family)))];
    return { kind: 'addresses', addresses, ttlMs: Math.min(aliasTtlMs, ...found.map(ttlMsOf)) };
  }
  const authority = message.authorities.find((record) => record.type === typeNumbers.SOA);
  const negativeTtlMs =
    authority === undefined ? NEGATIVE_TTL_MS : boundedTtlMs(negativeTtlSecondsOf(authority));
  const kind = code === responseCodes.nameError ? 'not-found' : 'no-address';
  return { kind, ttlMs: Math.min(aliasTtlMs, negativeTtlMs) };
}

interface AliasEnd {
  readonly owner: string;
  /** The smallest of the aliases; Infinity without any. */
  readonly ttlMs: number;
  readonly isLoop: boolean;
}

function followAliases(answers: readonly ResourceRecord[], hostname: string): AliasEnd {
  let owner = hostname;
  let ttlMs = Infinity;
  for (let followed = 0; followed <= MAX_ALIASES; followed += 1) {
    const alias = answers.find(isOf(owner, typeNumbers.CNAME));
    if (alias === undefined) return { owner, ttlMs, isLoop: false };
    ttlMs = Math.min(ttlMs, ttlMsOf(alias));
    owner = decodeName(alias.data).toLowerCase();
  }
  return { owner, ttlMs, isLoop: true };
}

function isOf(owner: string, type: number): (record: ResourceRecord) => boolean {
  return (record) => record.type === type && record.name.toLowerCase() === owner;
}

function ttlMsOf({ ttlSeconds }: ResourceRecord): number {
  return boundedTtlMs(ttlSeconds);
}

/** With the highest bit it would be negative, and counts as 0 (RFC 2181, section 8). */
function boundedTtlMs(ttlSeconds: number): number {
  return ttlSeconds >= 2 ** 31 ? 0 : 1_000 * Math.min(ttlSeconds, MAX_TTL_SECONDS);
}

function addressText(data: Buffer, family: 4 | 6): string {
  if (data.length !== (family === 4 ? 4 : 16)) {
    throw new DnsFormatError(`an IPv${family} address of ${data.length} bytes`);
  }
  if (family === 4) return data.join('.');
  const groups = Array.from({ length: 8 }, (_, index) => data.readUInt16BE(2 * index).toString(16));
  // The URL parser writes an address in its shortest form.
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}
