/**
 * Parts of a message (PostgreSQL, "Message Formats", version 3.0).
 * Source: https://www.postgresql.org/docs/current/protocol-message-formats.html
 */

/** Codes of the first message of a connection, which has no type. */
export const CANCEL_REQUEST = 80_877_102;
/** The code by which a client asks for TLS. */
export const SSL_REQUEST = 80_877_103;
/** The code by which a client asks for GSSAPI encryption. */
export const GSS_ENCRYPTION_REQUEST = 80_877_104;
export const PROTOCOL_3_0 = 196_608;

/** The bytes of a type and a length. */
export const HEAD_BYTES = 5;

/** Encodes a message: its type, its length, and its body. */
export function message(type: string, ...parts: readonly Buffer[]): Buffer {
  return Buffer.concat([Buffer.from(type, 'latin1'), lengthPrefixed(...parts)]);
}

/** Encodes a body behind its length, which counts itself; the form of a message without a type. */
export function lengthPrefixed(...parts: readonly Buffer[]): Buffer {
  const bytes = parts.reduce((sum, part) => sum + part.length, 4);
  return Buffer.concat([int32(bytes), ...parts]);
}

export function text(value: string): Buffer {
  return Buffer.from(`${value}\0`);
}

export function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

export function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}
