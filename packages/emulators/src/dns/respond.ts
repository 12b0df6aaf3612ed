import type { DnsFault, InjectedDnsFault } from './faults.ts';
import {
  type DnsMessage,
  type DnsQuestion,
  type DnsRecord,
  type ResourceRecord,
  encodeMessage,
  responseCodes,
  toResource,
  typeNumbers,
} from '@holdfast/protocols/dns';
import { type ZoneAnswer, lookUp } from './zone.ts';

/** The response to a query. */
interface DnsReply {
  /** `undefined` for no response. */
  readonly bytes: Buffer | undefined;
  readonly delayMs: number;
  /** Sent first, over UDP. */
  readonly forged: readonly ForgedResponse[];
}

interface ForgedResponse {
  readonly bytes: Buffer;
  readonly fromOtherPort: boolean;
}

/** The longest UDP response to a client without EDNS. */
const PLAIN_UDP_BYTES = 512;
const TYPE_OPT = 41;

const codes: Partial<Record<DnsFault['kind'], number>> = {
  nxdomain: responseCodes.nameError,
  servfail: responseCodes.serverFailure,
  refused: responseCodes.refused,
  nodata: responseCodes.ok,
};
const wrongAddresses = { 4: '192.0.2.1', 6: '2001:db8::1' } as const;

/** The response to a query under its faults. */
export function respond(
  query: DnsMessage,
  records: readonly DnsRecord[],
  injected: readonly InjectedDnsFault[],
  transport: 'udp' | 'tcp',
): DnsReply {
  const kinds = new Set(injected.map(({ fault }) => fault.kind));
  const [question] = query.questions;
  const isPlain = query.opcode === 0 && query.questions.length === 1;
  const found: ZoneAnswer =
    question !== undefined && isPlain
      ? applyFaults(lookUp(records, question), question, injected)
      : { ...empty, code: responseCodes.notImplemented };
  const complete = encodeMessage(responseTo(query, found, false));
  const isTruncated =
    transport === 'udp' && (kinds.has('truncated') || complete.length > maxUdpBytes(query));
  const bytes = isTruncated
    ? encodeMessage(responseTo(query, { ...empty, code: found.code }, true))
    : complete;
  const sent = kinds.has('malformed') ? bytes.subarray(0, bytes.length >> 1) : bytes;
  return {
    bytes: kinds.has('dropped') ? undefined : sent,
    delayMs: delayOf(injected),
    forged: transport === 'udp' ? injected.flatMap(({ fault }) => forge(query, fault)) : [],
  };
}

const empty: ZoneAnswer = { code: responseCodes.ok, answers: [], authorities: [] };

function forge(query: DnsMessage, fault: DnsFault): ForgedResponse[] {
  const [question] = query.questions;
  if (fault.kind !== 'forged' || question === undefined) return [];
  const names = { question: `not.${question.name}`, case: question.name.toLowerCase() };
  const name = fault.by === 'question' || fault.by === 'case' ? names[fault.by] : question.name;
  const type = question.type === typeNumbers.AAAA ? 'AAAA' : 'A';
  const address = wrongAddresses[type === 'A' ? 4 : 6];
  const response: DnsMessage = {
    ...emptyResponse,
    id: fault.by === 'id' ? query.id ^ 1 : query.id,
    recursionDesired: query.recursionDesired,
    questions: [{ ...question, name }],
    answers: [toResource({ name, type, address })],
  };
  return [{ bytes: encodeMessage(response), fromOtherPort: fault.by === 'port' }];
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
    authorities: found.authorities,
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
    if (code !== undefined) return { ...empty, code };
    if (fault.kind === 'rotated') answers = rotate(answers, injection);
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
  return { ...found, answers };
}

/** The aliases stay in front. */
function rotate(answers: readonly ResourceRecord[], by: number): readonly ResourceRecord[] {
  const aliases = answers.filter(({ type }) => type === typeNumbers.CNAME);
  const others = answers.filter(({ type }) => type !== typeNumbers.CNAME);
  const start = by % Math.max(1, others.length);
  return [...aliases, ...others.slice(start), ...others.slice(0, start)];
}

function delayOf(injected: readonly InjectedDnsFault[]): number {
  return injected.reduce((sum, { fault }) => sum + (fault.kind === 'slow' ? fault.delayMs : 0), 0);
}

/** RFC 6891, section 6.2.3: the class of an OPT record is the longest response that the client accepts. */
function maxUdpBytes({ additionals }: DnsMessage): number {
  const offered = additionals.find(({ type }) => type === TYPE_OPT)?.class;
  return Math.max(PLAIN_UDP_BYTES, offered ?? PLAIN_UDP_BYTES);
}
