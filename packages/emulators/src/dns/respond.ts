import type { DnsFault, InjectedDnsFault } from './faults.ts';
import {
  type DnsMessage,
  type DnsQuestion,
  type DnsRecord,
  encodeMessage,
  responseCodes,
  toResource,
  typeNumbers,
} from '@holdfast/protocols/dns';
import { type ZoneAnswer, lookUp } from './zone.ts';

/** The response to a query, and its delay. */
interface DnsReply {
  readonly bytes: Buffer;
  readonly delayMs: number;
}

/** The longest UDP response to a client without EDNS. */
const PLAIN_UDP_BYTES = 512;
const TYPE_OPT = 41;

const codes: Partial<Record<DnsFault['kind'], number>> = {
  nxdomain: responseCodes.nameError,
  servfail: responseCodes.serverFailure,
  refused: responseCodes.refused,
};
const wrongAddresses = { 4: '192.0.2.1', 6: '2001:db8::1' } as const;

/** The response to a query under its faults; `undefined` for no response. */
export function respond(
  query: DnsMessage,
  records: readonly DnsRecord[],
  injected: readonly InjectedDnsFault[],
  transport: 'udp' | 'tcp',
): DnsReply | undefined {
  const kinds = new Set(injected.map(({ fault }) => fault.kind));
  if (kinds.has('dropped')) return undefined;
  const [question] = query.questions;
  const isPlain = query.opcode === 0 && query.questions.length === 1;
  const found: ZoneAnswer =
    question !== undefined && isPlain
      ? applyFaults(lookUp(records, question), question, injected)
      : { code: responseCodes.notImplemented, answers: [] };
  const complete = encodeMessage(responseTo(query, found, false));
  const isTruncated =
    transport === 'udp' && (kinds.has('truncated') || complete.length > maxUdpBytes(query));
  const bytes = isTruncated
    ? encodeMessage(responseTo(query, { code: found.code, answers: [] }, true))
    : complete;
  return { bytes, delayMs: delayOf(injected) };
}

/** The response to a malformed query, if it has an id. */
export function respondToMalformed(bytes: Buffer): Buffer | undefined {
  if (bytes.length < 2 || (bytes[2] ?? 0) >= 0x80) return undefined;
  return encodeMessage({
    ...emptyResponse,
    id: bytes.readUInt16BE(0),
    code: responseCodes.formatError,
  });
}

const emptyResponse: DnsMessage = {
  id: 0,
  isResponse: true,
  opcode: 0,
  isAuthoritative: false,
  isTruncated: false,
  recursionDesired: false,
  recursionAvailable: true,
  code: responseCodes.ok,
  questions: [],
  answers: [],
  authorities: [],
  additionals: [],
};

function responseTo(query: DnsMessage, found: ZoneAnswer, isTruncated: boolean): DnsMessage {
  const { id, opcode, recursionDesired, questions } = query;
  const isAuthoritative = found.code === responseCodes.ok || found.code === responseCodes.nameError;
  return {
    ...emptyResponse,
    id,
    opcode,
    recursionDesired,
    questions,
    isAuthoritative,
    isTruncated,
    code: found.code,
    answers: found.answers,
  };
}

function applyFaults(
  found: ZoneAnswer,
  question: DnsQuestion,
  injected: readonly InjectedDnsFault[],
): ZoneAnswer {
  let { answers } = found;
  for (const { fault, injection } of injected) {
    const code = codes[fault.kind];
    // The first fault with a code counts.
    if (code !== undefined) return { code, answers: [] };
    if (fault.kind === 'ttlFlip') {
      const ttlSeconds = fault.ttlSeconds[injection % 2 === 1 ? 0 : 1];
      answers = answers.map((answer) => ({ ...answer, ttlSeconds }));
    }
    if (fault.kind === 'wrongAnswer') {
      answers = answers.map((answer) => {
        if (answer.type !== typeNumbers.A && answer.type !== typeNumbers.AAAA) return answer;
        const family = answer.type === typeNumbers.A ? 4 : 6;
        const isOfFamily = fault.address?.includes(':') === (family === 6);
        const address = isOfFamily ? fault.address : undefined;
        const { data } = toResource({
          name: question.name,
          type: family === 4 ? 'A' : 'AAAA',
          address: address ?? wrongAddresses[family],
        });
        return { ...answer, data };
      });
    }
  }
  return { code: found.code, answers };
}

function delayOf(injected: readonly InjectedDnsFault[]): number {
  return injected.reduce((sum, { fault }) => sum + (fault.kind === 'slow' ? fault.delayMs : 0), 0);
}

/** RFC 6891, section 6.2.3: the class of an OPT record is the longest response that the client accepts. */
function maxUdpBytes({ additionals }: DnsMessage): number {
  const offered = additionals.find(({ type }) => type === TYPE_OPT)?.class;
  return Math.max(PLAIN_UDP_BYTES, offered ?? PLAIN_UDP_BYTES);
}
