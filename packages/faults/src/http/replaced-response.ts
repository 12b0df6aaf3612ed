import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock } from '@holdfast/foundation';
import { resetSocket } from '../proxy/reset-socket.ts';
import type { InjectedHttpFaults } from './changed-response.ts';
import { type HttpHead, requestLineOf, valuesOf } from './http-head.ts';
import { sendAll } from './send-all.ts';

/** What a client gets in place of the server's response. */
interface Replacement {
  send(client: Socket): Promise<void>;
  /** The connection ends after it. */
  readonly isLast: boolean;
}

/** Returns what the faults put in place of the response, or undefined when the server is to answer. */
export function replacementOf(
  head: HttpHead,
  faults: InjectedHttpFaults,
  clock: Clock,
): Replacement | undefined {
  if (faults.has('reset')) return { send: async (client) => resetSocket(client), isLast: false };
  if (faults.has('notHttp'))
    return { send: (client) => sendAll(client, '+OK this is no HTTP\r\n'), isLast: true };
  const limit = faults.get('rateLimit');
  const status = faults.get('status');
  if (limit !== undefined)
    return response(head, clock, 429, { 'retry-after': String(limit.retryAfterSeconds) });
  if (status !== undefined) return response(head, clock, status.status, {});
  if (!faults.has('redirectLoop')) return undefined;
  return response(head, clock, 302, { location: requestLineOf(head).target });
}

function response(
  head: HttpHead,
  clock: Clock,
  status: number,
  fields: Readonly<Record<string, string>>,
): Replacement {
  const { isOld } = requestLineOf(head);
  const connection = valuesOf(head, 'connection');
  const isKept = isOld ? connection.includes('keep-alive') : !connection.includes('close');
  // Whether a client that expects a 100 sends its body after a refusal is not known, so nothing can follow.
  const isLast = !isKept || valuesOf(head, 'expect').includes('100-continue');
  const all: Record<string, string> = {
    ...fields,
    date: new Date(clock.epochMs()).toUTCString(),
    connection: isLast ? 'close' : 'keep-alive',
  };
  if (status !== 204 && status !== 304) all['content-length'] = '0';
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  const text = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines.join('')}\r\n`;
  return { send: (client) => sendAll(client, text), isLast };
}
