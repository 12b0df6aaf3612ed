/**
 * DNS messages on the wire (RFC 1035, section 4). The writer does not compress names; the reader accepts
 * compressed ones, also in the data of aliases and of the record of authority, and expands them. Other data is opaque
 * here.
 */

export interface DnsQuestion {
  /** Without a trailing dot; the root is the empty string. */
  readonly name: string;
  readonly type: number;
  readonly class: number;
}

/** A record of a message, with its data as bytes. */
export interface ResourceRecord extends DnsQuestion {
  readonly ttlSeconds: number;
  readonly data: Buffer;
}

/** A message of DNS, a query or a response. */
export interface DnsMessage {
  readonly id: number;
  readonly isResponse: boolean;
  readonly opcode: number;
  readonly isAuthoritative: boolean;
  readonly isTruncated: boolean;
  readonly recursionDesired: boolean;
  readonly recursionAvailable: boolean;
  /** One of {@link responseCodes}. */
  readonly code: number;
  readonly questions: readonly DnsQuestion[];
  readonly answers: readonly ResourceRecord[];
  readonly authorities: readonly ResourceRecord[];
  readonly additionals: readonly ResourceRecord[];
}

/** The response codes by name. */
export const responseCodes = {
  ok: 0,
  formatError: 1,
  serverFailure: 2,
  nameError: 3,
  notImplemented: 4,
  refused: 5,
} as const;

/** The bytes are not a DNS message. */
export class DnsFormatError extends Error {
  override readonly name = 'DnsFormatError';
}

const HEADER_BYTES = 12;
const MAX_LABEL_BYTES = 63;
const MAX_NAME_BYTES = 255;
/** A length byte with both high bits set is a pointer to the rest of the name. */
const POINTER = 0xc0;
/** More than any name needs: each pointer of an honest message precedes at least one label. */
const MAX_POINTERS = 127;
/** The types whose data begins with this many names that may be compressed (RFC 3597, section 4). */
const namesInData: ReadonlyMap<number, number> = new Map([
  [2, 1],
  [5, 1],
  [6, 2],
  [12, 1],
]);

/** A message as bytes, without compression of names. */
export function encodeMessage(message: DnsMessage): Buffer {
  const { questions, answers, authorities, additionals } = message;
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt16BE(message.id, 0);
  header.writeUInt16BE(
    (Number(message.isResponse) << 15) |
      (message.opcode << 11) |
      (Number(message.isAuthoritative) << 10) |
      (Number(message.isTruncated) << 9) |
      (Number(message.recursionDesired) << 8) |
      (Number(message.recursionAvailable) << 7) |
      message.code,
    2,
  );
  for (const [index, list] of [questions, answers, authorities, additionals].entries()) {
    header.writeUInt16BE(list.length, 4 + 2 * index);
  }
  return Buffer.concat([
    header,
    ...questions.map(encodeQuestion),
    ...[...answers, ...authorities, ...additionals].map(encodeRecord),
  ]);
}

/**
 * The message in `bytes`.
 * @throws DnsFormatError
 */
export function decodeMessage(bytes: Buffer): DnsMessage {
  if (bytes.length < HEADER_BYTES) throw new DnsFormatError('shorter than a header');
  const flags = bytes.readUInt16BE(2);
  const reader = new Reader(bytes, HEADER_BYTES);
  const list = <T>(index: number, read: () => T): T[] =>
    Array.from({ length: bytes.readUInt16BE(4 + 2 * index) }, read);
  const message: DnsMessage = {
    id: bytes.readUInt16BE(0),
    isResponse: (flags & 0x8000) !== 0,
    opcode: (flags >> 11) & 0xf,
    isAuthoritative: (flags & 0x400) !== 0,
    isTruncated: (flags & 0x200) !== 0,
    recursionDesired: (flags & 0x100) !== 0,
    recursionAvailable: (flags & 0x80) !== 0,
    code: flags & 0xf,
    questions: list(0, () => reader.question()),
    answers: list(1, () => reader.record()),
    authorities: list(2, () => reader.record()),
    additionals: list(3, () => reader.record()),
  };
  if (!reader.isAtEnd) throw new DnsFormatError('more bytes than its counts say');
  return message;
}

/** Reads the name with which the data of a record begins, such as the target of an alias. @throws DnsFormatError */
export function decodeName(data: Buffer): string {
  return new Reader(data, 0).name();
}

/** Writes each label preceded by its length, then a length of 0. @throws DnsFormatError */
export function encodeName(name: string): Buffer {
  const labels = name === '' ? [] : name.split('.');
  const parts = labels.map((label) => {
    const bytes = Buffer.from(label, 'latin1');
    if (bytes.length === 0 || bytes.length > MAX_LABEL_BYTES) {
      throw new DnsFormatError(`a label of ${bytes.length} bytes`);
    }
    return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  });
  const encoded = Buffer.concat([...parts, Buffer.from([0])]);
  if (encoded.length > MAX_NAME_BYTES)
    throw new DnsFormatError(`a name of ${encoded.length} bytes`);
  return encoded;
}

function encodeQuestion({ name, type, class: recordClass }: DnsQuestion): Buffer {
  const tail = Buffer.alloc(4);
  tail.writeUInt16BE(type, 0);
  tail.writeUInt16BE(recordClass, 2);
  return Buffer.concat([encodeName(name), tail]);
}

function encodeRecord(record: ResourceRecord): Buffer {
  const tail = Buffer.alloc(6);
  tail.writeUInt32BE(record.ttlSeconds, 0);
  tail.writeUInt16BE(record.data.length, 4);
  return Buffer.concat([encodeQuestion(record), tail, record.data]);
}

/** Reads a message from an offset. The input is untrusted. */
class Reader {
  readonly #bytes: Buffer;
  #at: number;

  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes;
    this.#at = at;
  }

  question(): DnsQuestion {
    return { name: this.name(), type: this.#number(2), class: this.#number(2) };
  }

  record(): ResourceRecord {
    const question = this.question();
    const ttlSeconds = this.#number(4);
    return { ...question, ttlSeconds, data: this.#data(question.type) };
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  #data(type: number): Buffer {
    const length = this.#number(2);
    const end = this.#at + length;
    const names: Buffer[] = [];
    // An update may delete a record of any type, with no data at all.
    const count = length === 0 ? 0 : (namesInData.get(type) ?? 0);
    for (let index = 0; index < count; index += 1) names.push(encodeName(this.name()));
    if (this.#at > end) throw new DnsFormatError('a name longer than its data');
    return Buffer.concat([...names, this.#take(end - this.#at)]);
  }

  name(): string {
    const labels: string[] = [];
    let length = 1;
    let at = this.#at;
    let end: number | undefined;
    let pointers = 0;
    for (let size = this.#byteAt(at); size !== 0; size = this.#byteAt(at)) {
      if (size >= POINTER) {
        const target = ((size & ~POINTER) << 8) | this.#byteAt(at + 1);
        end ??= at + 2;
        // Pointers may only point backwards, so a name cannot loop.
        if (target >= at) throw new DnsFormatError('a name that points ahead');
        pointers += 1;
        if (pointers > MAX_POINTERS) throw new DnsFormatError('a name of too many pointers');
        at = target;
        continue;
      }
      if (size > MAX_LABEL_BYTES) throw new DnsFormatError('a label of an unknown kind');
      length += size + 1;
      if (length > MAX_NAME_BYTES) throw new DnsFormatError('a name that is too long');
      const label = this.#bytes.toString('latin1', at + 1, at + 1 + size);
      if (label.length < size || label.includes('.')) throw new DnsFormatError('a broken label');
      labels.push(label);
      at += size + 1;
    }
    this.#at = end ?? at + 1;
    return labels.join('.');
  }

  #byteAt(at: number): number {
    const byte = this.#bytes[at];
    if (byte === undefined) throw new DnsFormatError('ends too early');
    return byte;
  }

  #number(bytes: 2 | 4): number {
    return this.#take(bytes).readUIntBE(0, bytes);
  }

  #take(length: number): Buffer {
    const bytes = this.#bytes.subarray(this.#at, this.#at + length);
    if (bytes.length < length) throw new DnsFormatError('ends too early');
    this.#at += length;
    return bytes;
  }
}
