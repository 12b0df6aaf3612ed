/** What a client says, as far as a server has to understand it. */
export type FrontendMessage =
  | { readonly kind: 'encryption-request' }
  | { readonly kind: 'cancel-request'; readonly processId: number; readonly secret: number }
  | { readonly kind: 'startup'; readonly parameters: Readonly<Record<string, string>> }
  | { readonly kind: 'password'; readonly password: string }
  | { readonly kind: 'query'; readonly sql: string }
  | { readonly kind: 'parse'; readonly statement: string; readonly sql: string }
  | {
      readonly kind: 'bind';
      readonly portal: string;
      readonly statement: string;
      readonly values: readonly BoundValue[];
    }
  | { readonly kind: 'describe'; readonly of: 'portal' | 'statement'; readonly name: string }
  | { readonly kind: 'execute'; readonly portal: string }
  | { readonly kind: 'close'; readonly of: 'portal' | 'statement'; readonly name: string }
  | { readonly kind: 'sync' }
  | { readonly kind: 'flush' }
  | { readonly kind: 'terminate' }
  | { readonly kind: 'unknown'; readonly type: string };

/** A parameter as it was bound: text, or bytes where the client chose the binary format. */
export type BoundValue = string | Uint8Array | null;

const CANCEL_REQUEST = 80_877_102;
const SSL_REQUEST = 80_877_103;
const GSS_ENCRYPTION_REQUEST = 80_877_104;
const PROTOCOL_MAJOR = 3;

/** The client said something that is no message of the protocol. */
export class MalformedMessage extends Error {}

/**
 * Cuts what a client sends into messages, wherever the network has cut it.
 * Protocol: https://www.postgresql.org/docs/current/protocol-message-formats.html (3.0).
 */
export class FrontendDecoder {
  readonly #maxMessageBytes: number;
  #received: Buffer = Buffer.alloc(0);
  /** The first messages of a connection bear no type. */
  #isStarted = false;

  constructor(maxMessageBytes: number) {
    this.#maxMessageBytes = maxMessageBytes;
  }

  /**
   * The messages that are whole with this chunk, in their order.
   * @throws MalformedMessage
   */
  push(chunk: Uint8Array): FrontendMessage[] {
    this.#received = Buffer.concat([this.#received, chunk]);
    const messages: FrontendMessage[] = [];
    let at = 0;
    while (true) {
      const headBytes = this.#isStarted ? 5 : 4;
      if (this.#received.length - at < headBytes) break;
      const bodyBytes = this.#received.readInt32BE(at + headBytes - 4) - 4;
      if (bodyBytes < 0 || bodyBytes > this.#maxMessageBytes) {
        throw new MalformedMessage(`a message claims ${bodyBytes} bytes`);
      }
      const end = at + headBytes + bodyBytes;
      if (end > this.#received.length) break;
      const type = this.#isStarted ? this.#received.toString('latin1', at, at + 1) : '';
      messages.push(this.#read(type, new Body(this.#received.subarray(at + headBytes, end))));
      at = end;
    }
    this.#received = this.#received.subarray(at);
    return messages;
  }

  #read(type: string, body: Body): FrontendMessage {
    switch (type) {
      case '':
        return this.#readOpening(body);
      case 'p':
        return { kind: 'password', password: body.text() };
      case 'Q':
        return { kind: 'query', sql: body.text() };
      case 'P':
        return { kind: 'parse', statement: body.text(), sql: body.text() };
      case 'B':
        return readBind(body);
      case 'D':
        return { kind: 'describe', of: readTarget(body), name: body.text() };
      case 'E':
        return { kind: 'execute', portal: body.text() };
      case 'C':
        return { kind: 'close', of: readTarget(body), name: body.text() };
      case 'S':
        return { kind: 'sync' };
      case 'H':
        return { kind: 'flush' };
      case 'X':
        return { kind: 'terminate' };
      default:
        return { kind: 'unknown', type };
    }
  }

  #readOpening(body: Body): FrontendMessage {
    const code = body.int32();
    if (code === SSL_REQUEST || code === GSS_ENCRYPTION_REQUEST) {
      return { kind: 'encryption-request' };
    }
    if (code === CANCEL_REQUEST) {
      return { kind: 'cancel-request', processId: body.int32(), secret: body.int32() };
    }
    if (code >>> 16 !== PROTOCOL_MAJOR) throw new MalformedMessage(`protocol ${code} is unknown`);
    this.#isStarted = true;
    const parameters: Record<string, string> = {};
    for (let name = body.text(); name !== ''; name = body.text()) parameters[name] = body.text();
    return { kind: 'startup', parameters };
  }
}

function readBind(body: Body): FrontendMessage {
  const portal = body.text();
  const statement = body.text();
  const formats = Array.from({ length: body.int16() }, () => body.int16());
  const values = Array.from({ length: body.int16() }, (_, index): BoundValue => {
    const length = body.int32();
    if (length === -1) return null;
    const bytes = body.bytes(length);
    // One format stands for all of them, none for text.
    const format = formats.length === 1 ? formats[0] : formats[index];
    return format === 1 ? bytes : bytes.toString('utf8');
  });
  return { kind: 'bind', portal, statement, values };
}

function readTarget(body: Body): 'portal' | 'statement' {
  return body.bytes(1).toString('latin1') === 'S' ? 'statement' : 'portal';
}

class Body {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  int16(): number {
    return this.bytes(2).readInt16BE(0);
  }

  int32(): number {
    return this.bytes(4).readInt32BE(0);
  }

  text(): string {
    const end = this.#bytes.indexOf(0, this.#at);
    if (end === -1) throw new MalformedMessage('a text has no end');
    const text = this.#bytes.toString('utf8', this.#at, end);
    this.#at = end + 1;
    return text;
  }

  bytes(count: number): Buffer {
    const end = this.#at + count;
    if (count < 0 || end > this.#bytes.length) throw new MalformedMessage('a message is too short');
    const bytes = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return bytes;
  }
}
