import { connect } from 'node:net';
import type { Address } from '../../topology/server-spec.ts';

/** What a Postgres answers to one statement. */
export type PostgresReply =
  | { readonly kind: 'rows'; readonly rows: readonly (readonly (string | null)[])[] }
  | { readonly kind: 'error'; readonly sqlState: string; readonly text: string };

/** The one user of a stage's Postgres; there are no passwords. */
export const POSTGRES_USER = 'postgres';
/** The database that every Postgres has from the start. */
export const POSTGRES_DATABASE = 'postgres';

/** The longest answer that is read, in bytes. */
const REPLY_MAX_BYTES = 1_048_576;
const PROTOCOL_3_0 = 196_608;

/**
 * Sends one statement over a connection of its own and resolves with the answer, values as text.
 * Protocol: https://www.postgresql.org/docs/current/protocol-message-formats.html (3.0, simple query).
 * Rejects with the socket's error, or with the signal's own reason.
 */
export function askPostgres(
  address: Address,
  statement: { readonly sql: string; readonly database?: string },
  signal: AbortSignal,
): Promise<PostgresReply> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason);
      return;
    }
    const socket = connect(address.port, address.host);
    const conversation = converse(statement.sql);
    let received: Buffer = Buffer.alloc(0);
    const settle = (conclude: () => void): void => {
      signal.removeEventListener('abort', onAbort);
      socket.destroy();
      conclude();
    };
    const onAbort = (): void => settle(() => reject(signal.reason));
    signal.addEventListener('abort', onAbort, { once: true });
    socket.on('error', (error) => settle(() => reject(error)));
    socket.on('close', () => settle(() => reject(new Error('closed before it answered'))));
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      if (received.length > REPLY_MAX_BYTES) {
        settle(() => reject(new Error(`answered with more than ${REPLY_MAX_BYTES} bytes`)));
        return;
      }
      const { messages, rest } = splitMessages(received);
      received = rest;
      for (const message of messages) {
        const step = conversation(message);
        if (step === undefined) continue;
        if ('send' in step) socket.write(step.send);
        else {
          // Said goodbye to, a session ends at once; others may wait for it.
          socket.write(encodeMessage('X', ''));
          settle(() => resolve(step.reply));
          return;
        }
      }
    });
    socket.write(startupMessage(statement.database ?? POSTGRES_DATABASE));
  });
}

interface Message {
  readonly type: string;
  readonly body: Buffer;
}

type Step = { readonly send: Buffer } | { readonly reply: PostgresReply } | undefined;

/** What to do at each message of the server: nothing, send something, or be done. */
function converse(sql: string): (message: Message) => Step {
  const rows: (string | null)[][] = [];
  let isAsked = false;
  return ({ type, body }) => {
    switch (type) {
      case 'E':
        return { reply: errorIn(body) };
      case 'D':
        rows.push(rowIn(body));
        return undefined;
      case 'Z':
        if (isAsked) return { reply: { kind: 'rows', rows } };
        isAsked = true;
        return { send: encodeMessage('Q', `${sql}\0`) };
      default:
        return undefined;
    }
  };
}

function startupMessage(database: string): Buffer {
  const parameters = Buffer.from(`user\0${POSTGRES_USER}\0database\0${database}\0\0`);
  const head = Buffer.alloc(8);
  head.writeInt32BE(head.length + parameters.length, 0);
  head.writeInt32BE(PROTOCOL_3_0, 4);
  return Buffer.concat([head, parameters]);
}

function encodeMessage(type: string, text: string): Buffer {
  const body = Buffer.from(text);
  const head = Buffer.alloc(5);
  head.write(type, 0, 'latin1');
  head.writeInt32BE(4 + body.length, 1);
  return Buffer.concat([head, body]);
}

/** The whole messages that `received` begins with, and what is left of it. */
export function splitMessages(received: Buffer): { messages: Message[]; rest: Buffer } {
  const messages: Message[] = [];
  let at = 0;
  while (at + 5 <= received.length) {
    const end = at + 1 + received.readInt32BE(at + 1);
    if (end > received.length) break;
    messages.push({
      type: received.toString('latin1', at, at + 1),
      body: received.subarray(at + 5, end),
    });
    at = end;
  }
  return { messages, rest: received.subarray(at) };
}

function errorIn(body: Buffer): PostgresReply {
  const fields = new Map(
    body
      .toString('utf8')
      .split('\0')
      .map((field) => [field.slice(0, 1), field.slice(1)]),
  );
  return { kind: 'error', sqlState: fields.get('C') ?? '', text: fields.get('M') ?? '' };
}

function rowIn(body: Buffer): (string | null)[] {
  const row: (string | null)[] = [];
  let at = 2;
  for (let left = body.readInt16BE(0); left > 0; left -= 1) {
    const length = body.readInt32BE(at);
    at += 4;
    row.push(length === -1 ? null : body.toString('utf8', at, at + length));
    at += Math.max(0, length);
  }
  return row;
}
