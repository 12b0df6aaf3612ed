import { ProtocolError } from '../protocol-error.ts';
import { CANCEL_REQUEST, GSS_ENCRYPTION_REQUEST, PROTOCOL_3_0, SSL_REQUEST } from './message.ts';
import { MessageBody } from './message-body.ts';

/** A message of a client. */
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

/** A bound parameter: text, or bytes in the binary format. */
export type BoundValue = string | Uint8Array | null;

/** Cuts a client's stream into messages. */
export class FrontendDecoder {
  readonly #maxMessageBytes: number;
  #received: Buffer = Buffer.alloc(0);
  /** The messages before the session have no type. */
  #isStarted = false;

  constructor(maxMessageBytes: number) {
    this.#maxMessageBytes = maxMessageBytes;
  }

  /** Returns the messages that this chunk completes, in order. @throws ProtocolError */
  push(chunk: Uint8Array): FrontendMessage[] {
    this.#received = Buffer.concat([this.#received, chunk]);
    const messages: FrontendMessage[] = [];
    let at = 0;
    while (true) {
      const headBytes = this.#isStarted ? 5 : 4;
      if (this.#received.length - at < headBytes) break;
      const bodyBytes = this.#received.readInt32BE(at + headBytes - 4) - 4;
      if (bodyBytes < 0 || bodyBytes > this.#maxMessageBytes) {
        throw new ProtocolError('Postgres', `a message of ${bodyBytes} bytes`);
      }
      const end = at + headBytes + bodyBytes;
      if (end > this.#received.length) break;
      const type = this.#isStarted ? this.#received.toString('latin1', at, at + 1) : '';
      messages.push(
        this.#parse(type, new MessageBody(this.#received.subarray(at + headBytes, end))),
      );
      at = end;
    }
    this.#received = this.#received.subarray(at);
    return messages;
  }

  #parse(type: string, body: MessageBody): FrontendMessage {
    switch (type) {
      case '':
        return this.#parseStartup(body);
      case 'p':
        return { kind: 'password', password: body.text() };
      case 'Q':
        return { kind: 'query', sql: body.text() };
      case 'P':
        return { kind: 'parse', statement: body.text(), sql: body.text() };
      case 'B':
        return parseBind(body);
      case 'D':
        return { kind: 'describe', of: parseTarget(body), name: body.text() };
      case 'E':
        return { kind: 'execute', portal: body.text() };
      case 'C':
        return { kind: 'close', of: parseTarget(body), name: body.text() };
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

  #parseStartup(body: MessageBody): FrontendMessage {
    const code = body.int32();
    if (code === SSL_REQUEST || code === GSS_ENCRYPTION_REQUEST) {
      return { kind: 'encryption-request' };
    }
    if (code === CANCEL_REQUEST) {
      return { kind: 'cancel-request', processId: body.int32(), secret: body.int32() };
    }
    if (code >>> 16 !== PROTOCOL_3_0 >>> 16)
      throw new ProtocolError('Postgres', `the unknown protocol version ${code}`);
    this.#isStarted = true;
    const parameters: Record<string, string> = {};
    for (let name = body.text(); name !== ''; name = body.text()) parameters[name] = body.text();
    return { kind: 'startup', parameters };
  }
}

function parseBind(body: MessageBody): FrontendMessage {
  const portal = body.text();
  const statement = body.text();
  const formats = Array.from({ length: body.int16() }, () => body.int16());
  const values = Array.from({ length: body.int16() }, (_, index): BoundValue => {
    const length = body.int32();
    if (length === -1) return null;
    const bytes = body.bytes(length);
    // A single format applies to all values; no format means text.
    const format = formats.length === 1 ? formats[0] : formats[index];
    return format === 1 ? bytes : bytes.toString('utf8');
  });
  return { kind: 'bind', portal, statement, values };
}

function parseTarget(body: MessageBody): 'portal' | 'statement' {
  return body.bytes(1).toString('latin1') === 'S' ? 'statement' : 'portal';
}
