import { int16, int32, message, text } from './message.ts';

/** `I`: no transaction, `T`: in a transaction, `E`: in a failed transaction. */
export type TransactionIndicator = 'I' | 'T' | 'E';

export interface Column {
  readonly name: string;
  /** The object id of its type, such as 25 for text. */
  readonly typeId: number;
}

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

export const authenticationOk: Buffer = message('R', int32(0));
export const cleartextPasswordRequest: Buffer = message('R', int32(CLEARTEXT_PASSWORD));
export const parseComplete: Buffer = message('1');
export const bindComplete: Buffer = message('2');
export const closeComplete: Buffer = message('3');
export const noData: Buffer = message('n');
export const emptyQuery: Buffer = message('I');

export function parameterStatus(name: string, value: string): Buffer {
  return message('S', text(name), text(value));
}

export function backendKeyData(processId: number, secret: number): Buffer {
  return message('K', int32(processId), int32(secret));
}

export function readyForQuery(status: TransactionIndicator): Buffer {
  return message('Z', Buffer.from(status));
}

export function commandComplete(tag: string): Buffer {
  return message('C', text(tag));
}

export function rowDescription(columns: readonly Column[]): Buffer {
  const described = columns.map(({ name, typeId }) =>
    // No table and column number; a type of variable length without a modifier, in text format.
    Buffer.concat([text(name), int32(0), int16(0), int32(typeId), int16(-1), int32(-1), int16(0)]),
  );
  return message('T', int16(columns.length), ...described);
}

export function dataRow(values: readonly (string | null)[]): Buffer {
  const encoded = values.map((value) => {
    if (value === null) return int32(-1);
    const bytes = Buffer.from(value);
    return Buffer.concat([int32(bytes.length), bytes]);
  });
  return message('D', int16(values.length), ...encoded);
}

export function errorResponse(error: ErrorFields): Buffer {
  const { severity, sqlState, detail, hint } = error;
  const fields = [`S${severity}`, `V${severity}`, `C${sqlState}`, `M${error.message}`];
  if (detail !== undefined) fields.push(`D${detail}`);
  if (hint !== undefined) fields.push(`H${hint}`);
  return message('E', ...fields.map(text), Buffer.alloc(1));
}
