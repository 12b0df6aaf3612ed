/** `I` outside of a transaction, `T` inside of one, `E` inside of one that has failed. */
export type TransactionStatus = 'I' | 'T' | 'E';

export interface Column {
  readonly name: string;
  /** Object id of its type, such as 25 for text. */
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

/** Refuses encryption: the one answer without a head. */
export const noEncryption: Buffer = Buffer.from('N');

export const authenticationOk: Buffer = message('R', int32(0));
export const cleartextPasswordWanted: Buffer = message('R', int32(CLEARTEXT_PASSWORD));
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

export function readyForQuery(status: TransactionStatus): Buffer {
  return message('Z', Buffer.from(status));
}

export function commandComplete(tag: string): Buffer {
  return message('C', text(tag));
}

export function rowDescription(columns: readonly Column[]): Buffer {
  const described = columns.map(({ name, typeId }) =>
    // No table, no column of one; a type of any length, without a modifier, in text format.
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

function message(type: string, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from(type), int32(body.length + 4), body]);
}

function text(value: string): Buffer {
  return Buffer.from(`${value}\0`);
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}
