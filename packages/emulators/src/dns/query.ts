import { createSocket } from 'node:dgram';
import type { DnsFaultKind } from './faults.ts';
import {
  CLASS_INTERNET,
  decodeMessage,
  type DnsMessage,
  type DnsRecord,
  encodeMessage,
  responseCodes,
  typeNumbers,
} from '@holdfast/protocols/dns';

/** One query to the server. */
export interface DnsQuery {
  readonly name: string;
  /** Such as `A`; `TYPE65` for a type without a name here. */
  readonly type: string;
  readonly transport: 'udp' | 'tcp';
  /** The faults that were injected. */
  readonly faults: readonly DnsFaultKind[];
  /** When it arrived, in milliseconds since the Unix epoch, by the server's clock. */
  readonly atMs: number;
}

/** The name of the readiness query, which is exempt from faults. */
export const READY_NAME = 'ready.stage.invalid';
export const READY_RECORD: DnsRecord = { name: READY_NAME, type: 'TXT', text: 'ready' };

export function typeName(type: number): string {
  const known = Object.entries(typeNumbers).find(([, number]) => number === type);
  return known?.[0] ?? `TYPE${type}`;
}

/** Sends the readiness query over UDP; resolves when the server responds. */
export function probeDns(
  { host, port }: { readonly host: string; readonly port: number },
  signal: AbortSignal,
): Promise<void> {
  const query: DnsMessage = {
    id: 1,
    isResponse: false,
    opcode: 0,
    isAuthoritative: false,
    isTruncated: false,
    recursionDesired: false,
    recursionAvailable: false,
    code: responseCodes.ok,
    questions: [{ name: READY_NAME, type: typeNumbers.TXT, class: CLASS_INTERNET }],
    answers: [],
    authorities: [],
    additionals: [],
  };
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
    const settle = (conclude: () => void): void => {
      signal.removeEventListener('abort', onAbort);
      socket.close();
      conclude();
    };
    const onAbort = (): void => settle(() => reject(signal.reason));
    signal.addEventListener('abort', onAbort, { once: true });
    // A connected socket reports an error when no server listens.
    socket.once('error', (error) => settle(() => reject(error)));
    socket.once('message', (bytes) => {
      settle(() => {
        const { answers } = decodeMessage(bytes);
        if (answers.length === 1) resolve();
        else reject(new Error('another server responds'));
      });
    });
    socket.connect(port, host, () => socket.send(encodeMessage(query)));
  });
}
