import {
  HEAD_BYTES,
  MessageReader,
  parseDataRow,
  parseErrorResponse,
  simpleQuery,
  startup,
  terminate,
} from '@holdfast/protocols/postgres';
import type { Endpoint } from '../../system/endpoint.ts';
import { oneExchange } from '../../system/exchange.ts';

/** The result of one statement. */
export type PostgresReply =
  | { readonly kind: 'rows'; readonly rows: readonly (readonly (string | null)[])[] }
  | { readonly kind: 'error'; readonly sqlState: string; readonly text: string };

/** The only user of a stage's Postgres; it has no password. */
export const POSTGRES_USER = 'postgres';
/** The database that every Postgres has from the start. */
export const POSTGRES_DATABASE = 'postgres';

/** The longest message that is read, in bytes. */
const MESSAGE_MAX_BYTES = 1_048_576;

/**
 * Sends one statement over a connection of its own and resolves with the rows, values as text.
 * Rejects with the socket's error, or with the signal's own reason.
 */
export function askPostgres(
  endpoint: Endpoint,
  { sql, database = POSTGRES_DATABASE }: { readonly sql: string; readonly database?: string },
  signal: AbortSignal,
): Promise<PostgresReply> {
  const reader = new MessageReader(MESSAGE_MAX_BYTES, () => true);
  const rows: (string | null)[][] = [];
  let isSent = false;
  const read = (chunk: Buffer, send: (bytes: Buffer) => void): PostgresReply | undefined => {
    for (const segment of reader.read(chunk)) {
      if (segment.kind !== 'message')
        throw new Error(`Postgres answered with a message of more than ${MESSAGE_MAX_BYTES} bytes`);
      const body = segment.bytes.subarray(HEAD_BYTES);
      if (segment.type === 'D') rows.push(parseDataRow(body));
      else if (segment.type === 'Z' && !isSent) {
        isSent = true;
        send(simpleQuery(sql));
      } else if (segment.type === 'Z' || segment.type === 'E') {
        // The server ends a terminated session at once, so nothing else waits for it.
        send(terminate);
        if (segment.type === 'Z') return { kind: 'rows', rows };
        const { sqlState, message } = parseErrorResponse(body);
        return { kind: 'error', sqlState, text: message };
      }
    }
    return undefined;
  };
  return oneExchange(endpoint, startup({ user: POSTGRES_USER, database }), read, signal);
}
