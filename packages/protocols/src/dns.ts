/** The messages and records of DNS as bytes. */
export { createFrameReader, frameMessage } from './dns/framing.ts';
export {
  type DnsMessage,
  type DnsQuestion,
  type ResourceRecord,
  decodeMessage,
  decodeName,
  encodeMessage,
  responseCodes,
  DnsFormatError,
} from './dns/message.ts';
export {
  CLASS_INTERNET,
  type DnsRecord,
  type DnsRecordType,
  addressRule,
  nameRule,
  negativeTtlSecondsOf,
  recordRule,
  toResource,
  ttlRule,
  typeNumbers,
} from './dns/record.ts';
