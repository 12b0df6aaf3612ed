import { MessageBody } from './message-body.ts';

/** Reads the values of a `DataRow`, as text. @throws ProtocolError */
export function parseDataRow(body: Buffer): (string | null)[] {
  const reader = new MessageBody(body);
  return Array.from({ length: reader.int16() }, () => {
    const length = reader.int32();
    return length === -1 ? null : reader.bytes(length).toString('utf8');
  });
}

/** Reads the SQLSTATE and the message of an `ErrorResponse`. */
export function parseErrorResponse(body: Buffer): { sqlState: string; message: string } {
  const fields = new Map(
    body
      .toString('utf8')
      .split('\0')
      .map((field) => [field.slice(0, 1), field.slice(1)]),
  );
  return { sqlState: fields.get('C') ?? '', message: fields.get('M') ?? '' };
}
