import { int16, int32, message, text } from './message.ts';

/** `I`: no transaction, `T`: in a transaction, `E`: in a failed transaction. */
export type TransactionIndicator = 'I' | 'T' | 'E';

/** A column of a result. */
export interface Column {
  readonly name: string;
  /** The object id of its type, such as 25 for text. */
  readonly typeId: number;
}

/** The fields of an error, as Postgres sends them. */
export interface ErrorFields {
  readonly severity: 'ERROR' | 'FATAL' | 'PANIC';
  readonly sqlState: string;
  readonly message: string;
  readonly detail?: string;
  readonly hint?: string;
}

const CLEARTEXT_PASSWORD = 3;

/** Refuses encryption; the only response without a type and a length. */
export const noEncryption: Buffer = Buffer.from('N');

/** The client is who it says. */
export const authenticationOk: Buffer = message('R', int32(0));
/** The client is to send its password in clear text. */
export const cleartextPasswordRequest: Buffer = message('R', int32(CLEARTEXT_PASSWORD));
/** A statement is prepared. */
export const parseComplete: Buffer = message('1');
/** The values are bound. */
export const bindComplete: Buffer = message('2');
/** A statement or portal is closed. */
export const closeComplete: Buffer = message('3');
/** The statement returns no rows. */
export const noData: Buffer = message('n');
/** The text had no statement. */
export const emptyQuery: Buffer = message('I');

/** Tells the value of a setting. */
export function parameterStatus(name: string, value: string): Buffer {
  return message('S', text(name), text(value));
}

/** What a client needs to cancel a statement of this session. */
export function backendKeyData(processId: number, secret: number): Buffer {
  return message('K', int32(processId), int32(secret));
}

/** The session waits for a statement; `status` tells whether a transaction is open. */
export function readyForQuery(status: TransactionIndicator): Buffer {
  return message('Z', Buffer.from(status));
}

/** A statement has ended; `tag` is such as `SELECT 1`. */
export function commandComplete(tag: string): Buffer {
  return message('C', text(tag));
}

/** The columns of the rows that follow. */
export function rowDescription(columns: readonly Column[]): Buffer {
  const described = columns.map(({ name, typeId }) =>
    // No table and column number; a type of variable length without a modifier, in text format.
    Buffer.concat([text(name), int32(0), int16(0), int32(typeId), int16(-1), int32(-1), int16(0)]),
  );
  return message('T', int16(columns.length), ...described);
}

/** A row, its values as text. */
export function dataRow(values: readonly (string | null)[]): Buffer {
  const encoded = values.map((value) => {
    if (value === null) return int32(-1);
    const bytes = Buffer.from(value);
    return Buffer.concat([int32(bytes.length), bytes]);
  });
  return message('D', int16(values.length), ...encoded);
}

/** An error; the session goes on unless it is `FATAL`. */
export function errorResponse(error: ErrorFields): Buffer {
  const { severity, sqlState, detail, hint } = error;
  const fields = [`S${severity}`, `V${severity}`, `C${sqlState}`, `M${error.message}`];
  if (detail !== undefined) fields.push(`D${detail}`);
  if (hint !== undefined) fields.push(`H${hint}`);
  return message('E', ...fields.map(text), Buffer.alloc(1));
}
