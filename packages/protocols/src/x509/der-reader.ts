import { HoldfastError } from '@holdfast/foundation';

/** The bytes are no DER, or not of the expected structure. */
export class DerError extends HoldfastError {
  readonly code = 'DER_INVALID';

  constructor(seen = 'no DER, or it ends too early') {
    super(`not readable: ${seen}`);
  }
}

/** One value of DER. */
export interface DerElement {
  /** The whole first byte. */
  readonly tag: number;
  readonly content: Buffer;
  /** Tag, length and content. */
  readonly bytes: Buffer;
}

const LONG_TAG = 0x1f;
const MAX_LENGTH_BYTES = 4;

/** The values that follow each other in `bytes`. @throws DerError */
export function readElements(bytes: Buffer): DerElement[] {
  const elements: DerElement[] = [];
  let offset = 0;
  while (offset < bytes.length) {
    const element = readElement(bytes.subarray(offset));
    elements.push(element);
    offset += element.bytes.length;
  }
  return elements;
}

/** The first value in `bytes`. @throws DerError */
export function readElement(bytes: Buffer): DerElement {
  const tag = bytes[0] ?? LONG_TAG;
  if ((tag & LONG_TAG) === LONG_TAG) throw damaged();
  const first = bytes[1] ?? 0;
  const lengthBytes = first < 0x80 ? 0 : first & 0x7f;
  const start = 2 + lengthBytes;
  // DER has no indefinite length.
  if (first === 0x80 || lengthBytes > MAX_LENGTH_BYTES || start > bytes.length) throw damaged();
  const length = lengthBytes === 0 ? first : bytes.readUIntBE(2, lengthBytes);
  if (bytes.length < 2 || start + length > bytes.length) throw damaged();
  const end = start + length;
  return { tag, content: bytes.subarray(start, end), bytes: bytes.subarray(0, end) };
}

/** In dots, such as `2.5.29.17`. */
export function readObjectIdentifier(content: Buffer): string {
  const parts: number[] = [];
  let value = 0;
  for (const byte of content) {
    value = value * 128 + (byte & 0x7f);
    if (byte >= 0x80) continue;
    parts.push(value);
    value = 0;
  }
  const [head = 0, ...others] = parts;
  const first = Math.min(2, Math.floor(head / 40));
  return [first, head - first * 40, ...others].join('.');
}

/** UTCTime or GeneralizedTime, in milliseconds since the Unix epoch. @throws DerError */
export function readTime({ tag, content }: DerElement): number {
  const text = content.toString('latin1');
  const [, year = '', ...rest] =
    /^(\d{2}|\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/.exec(text) ?? [];
  const isShort = tag === 0x17;
  if (year.length !== (isShort ? 2 : 4)) throw damaged();
  const century = Number(year) < 50 ? '20' : '19';
  const [month, day, hour, minute, second] = rest;
  const fullYear = isShort ? `${century}${year}` : year;
  return Date.parse(`${fullYear}-${month}-${day}T${hour}:${minute}:${second}Z`);
}

function damaged(): DerError {
  return new DerError();
}
