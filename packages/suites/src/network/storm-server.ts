import { type Socket as DatagramSocket, createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type Server, createServer } from 'node:net';
import { systemClock } from '@holdfast/foundation';
import {
  type DnsMessage,
  type DnsRecord,
  createFrameReader,
  decodeMessage,
  encodeMessage,
  frameMessage,
  toResource,
} from '@holdfast/protocols/dns';

/** What a server may say to a question. */
export const answerKinds = [
  'address',
  'nxdomain',
  'nodata',
  'servfail',
  'refused',
  'dropped',
  'truncated',
  'malformed',
  'late',
  'forged',
  'dangling',
  'loop',
] as const;
export type AnswerKind = (typeof answerKinds)[number];

/** An address that no honest answer has. */
export const FORGED_ADDRESS = '192.0.2.66';
const LATE_MS = 60;

/** What one question of a storm is answered with. */
interface StormAnswer {
  readonly kind: AnswerKind;
  readonly address: string;
  /** For `late`. Default 60. */
  readonly delayMs?: number;
}

/** A name server in this process, on real sockets, whose answers a storm decides question by question. */
export interface StormServer {
  /** `address:port` */
  readonly server: string;
  close(): Promise<void>;
}

/**
 * @param answerTo decides what is said about a name, in lower case.
 * @param wantedPort 0: a free one.
 */
export async function openStormServer(
  answerTo: (name: string) => StormAnswer,
  wantedPort = 0,
): Promise<StormServer> {
  const { datagrams, tcp, port } = await openPorts(wantedPort);
  // An answer may be due after that.
  let isClosed = false;
  datagrams.on('message', (bytes, from) => {
    const send = (response: Buffer): void => {
      if (!isClosed) datagrams.send(response, from.port, from.address);
    };
    respond(bytes, false, answerTo, send);
  });
  tcp.on('connection', (socket) => {
    socket.on('error', () => {});
    const send = (response: Buffer): void => {
      if (socket.writable) socket.write(frameMessage(response));
    };
    socket.on(
      'data',
      createFrameReader((bytes) => respond(bytes, true, answerTo, send)),
    );
  });
  return {
    server: `127.0.0.1:${port}`,
    async close() {
      isClosed = true;
      datagrams.close();
      tcp.close();
      await once(tcp, 'close');
    },
  };
}

/** UDP and TCP on one port, which another process may have in between. */
async function openPorts(
  wantedPort: number,
): Promise<{ datagrams: DatagramSocket; tcp: Server; port: number }> {
  for (let attempt = 0; ; attempt += 1) {
    const tcp = createServer();
    tcp.listen(wantedPort, '127.0.0.1');
    await once(tcp, 'listening');
    const address = tcp.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const datagrams = createSocket('udp4');
    try {
      datagrams.bind(port, '127.0.0.1');
      await once(datagrams, 'listening');
      datagrams.on('error', () => {});
      return { datagrams, tcp, port };
    } catch (error) {
      tcp.close();
      if (attempt === 10) throw error;
    }
  }
}

function respond(
  bytes: Buffer,
  isTcp: boolean,
  answerTo: (name: string) => StormAnswer,
  send: (response: Buffer) => void,
): void {
  const query = decodeMessage(bytes);
  const [question] = query.questions;
  if (question === undefined) return;
  const { kind, address, delayMs = LATE_MS } = answerTo(question.name.toLowerCase());
  if (kind === 'dropped') return;
  const { name } = question;
  const right: DnsRecord = { type: 'A', name, address, ttlSeconds: 1 };
  if (kind === 'forged' && !isTcp) {
    const wrong = { ...right, address: FORGED_ADDRESS };
    send(responseTo({ ...query, id: query.id ^ 0x10 }, {}, wrong));
    send(responseTo({ ...query, questions: [{ ...question, name: `x.${name}` }] }, {}, wrong));
  }
  const response = responseOf(kind, query, right, isTcp);
  if (kind === 'late') systemClock.schedule(delayMs, () => send(response), { holdsProcess: false });
  else send(response);
}

function responseOf(kind: AnswerKind, query: DnsMessage, right: DnsRecord, isTcp: boolean): Buffer {
  const { name } = right;
  const alias = (from: string, target: string): DnsRecord => ({
    type: 'CNAME',
    name: from,
    target,
    ttlSeconds: 1,
  });
  const soa: DnsRecord = { type: 'SOA', name: 'test', ttlSeconds: 1, negativeTtlSeconds: 1 };
  const authorities = [toResource(soa)];
  switch (kind) {
    case 'nxdomain':
      return responseTo(query, { code: 3, authorities });
    case 'nodata':
      return responseTo(query, { authorities });
    case 'servfail':
      return responseTo(query, { code: 2 });
    case 'refused':
      return responseTo(query, { code: 5 });
    case 'truncated':
      return isTcp ? responseTo(query, {}, right) : responseTo(query, { isTruncated: true });
    case 'malformed':
      return responseTo(query, {}, right).subarray(0, -3);
    case 'dangling':
      return responseTo(query, {}, alias(name, 'gone.elsewhere'));
    case 'loop':
      return responseTo(query, {}, alias(name, 'b.test'), alias('b.test', name));
    case 'address':
    case 'late':
    case 'forged':
    case 'dropped':
      break;
  }
  return responseTo(query, {}, right);
}

function responseTo(
  query: DnsMessage,
  change: Partial<DnsMessage>,
  ...records: readonly DnsRecord[]
): Buffer {
  return encodeMessage({
    ...query,
    isResponse: true,
    recursionAvailable: true,
    additionals: [],
    answers: records.map(toResource),
    ...change,
  });
}
