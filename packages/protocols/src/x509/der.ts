/**
 * Writes DER (ITU-T X.690), the binary form of ASN.1 that certificates use: tag, length, content.
 * It covers the types a certificate contains.
 */

const CONSTRUCTED = 0x20;
const CONTEXT = 0x80;

export function sequence(...items: readonly Buffer[]): Buffer {
  return element(0x30, Buffer.concat(items));
}

export function set(...items: readonly Buffer[]): Buffer {
  return element(0x31, Buffer.concat(items));
}

export function boolean(value: boolean): Buffer {
  return element(0x01, Buffer.from([value ? 0xff : 0x00]));
}

/** @param magnitude a non-negative integer, big-endian. */
export function unsignedInteger(magnitude: Buffer): Buffer {
  const firstUsed = magnitude.findIndex((byte) => byte !== 0);
  const digits = firstUsed === -1 ? Buffer.from([0]) : magnitude.subarray(firstUsed);
  // The highest bit is the sign bit.
  const isNegative = (digits[0] ?? 0) >= 0x80;
  return element(0x02, isNegative ? Buffer.concat([Buffer.from([0]), digits]) : digits);
}

/** @param unusedBits the number of unused low bits in the last byte. */
export function bitString(bits: Buffer, unusedBits = 0): Buffer {
  return element(0x03, Buffer.concat([Buffer.from([unusedBits]), bits]));
}

export function octetString(bytes: Buffer): Buffer {
  return element(0x04, bytes);
}

/** @param dotted such as `2.5.29.17`. */
export function objectIdentifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...others] = dotted.split('.').map(Number);
  return element(0x06, Buffer.from([first * 40 + second, ...others].flatMap(base128)));
}

export function utf8String(text: string): Buffer {
  return element(0x0c, Buffer.from(text, 'utf8'));
}

/** RFC 5280, section 4.1.2.5: UTCTime until 2049, GeneralizedTime from 2050, in whole seconds. */
export function time(epochMs: number): Buffer {
  const digits = new Date(epochMs).toISOString().replaceAll(/\.\d+|[-:T]/g, '');
  const isShort = digits < '2050';
  return element(isShort ? 0x17 : 0x18, Buffer.from(isShort ? digits.slice(2) : digits, 'latin1'));
}

/** A primitive field with a context-specific tag, such as one name in a list of general names. */
export function contextPrimitive(number: number, content: Buffer): Buffer {
  return element(CONTEXT | number, content);
}

/** A constructed field with a context-specific tag. */
export function contextConstructed(number: number, ...items: readonly Buffer[]): Buffer {
  return element(CONTEXT | CONSTRUCTED | number, Buffer.concat(items));
}

function element(tag: number, content: Buffer): Buffer {
  return Buffer.concat([Buffer.from([tag, ...lengthOf(content.length)]), content]);
}

/** A length up to 127 takes one byte; a longer one is preceded by the number of its bytes. */
function lengthOf(length: number): number[] {
  if (length < 0x80) return [length];
  const bytes: number[] = [];
  for (let left = length; left > 0; left = Math.floor(left / 256)) bytes.unshift(left % 256);
  return [0x80 | bytes.length, ...bytes];
}

/** Seven bits a byte, big-endian; every byte but the last has its high bit set. */
function base128(value: number): number[] {
  const bytes = [value % 128];
  for (let left = Math.floor(value / 128); left > 0; left = Math.floor(left / 128)) {
    bytes.unshift(0x80 | (left % 128));
  }
  return bytes;
}
