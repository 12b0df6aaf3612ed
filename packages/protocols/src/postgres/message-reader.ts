import { ProtocolError } from '../protocol-error.ts';
import { HEAD_BYTES } from './message.ts';

/** One complete message of the protocol. */
export interface PostgresMessage {
  readonly type: string;
  /** The whole message, with its type and length. */
  readonly bytes: Buffer;
}

/** A wanted message, or bytes of the others as they arrive. */
type PostgresSegment =
  | ({ readonly kind: 'message' } & PostgresMessage)
  | { readonly kind: 'bytes'; readonly bytes: Buffer };

/** Cuts a stream of typed messages (type, length, body), either way, into segments. */
export class MessageReader {
  readonly #maxMessageBytes: number;
  readonly #isWanted: (type: string) => boolean;
  #held: Buffer[] = [];
  #heldBytes = 0;
  /** The next message is incomplete until this many bytes are held. */
  #neededBytes = 0;
  /** The bytes of an unwanted message that are still to come. */
  #unwantedBytes = 0;

  /** @param maxMessageBytes a longer message counts as unwanted. */
  constructor(maxMessageBytes: number, isWanted: (type: string) => boolean) {
    this.#maxMessageBytes = maxMessageBytes;
    this.#isWanted = isWanted;
  }

  /** @throws ProtocolError */
  *read(bytes: Buffer): Generator<PostgresSegment, void> {
    this.#held.push(bytes);
    this.#heldBytes += bytes.length;
    if (this.#heldBytes < this.#neededBytes) return;
    const all = this.#held.length === 1 ? bytes : Buffer.concat(this.#held);
    let at = 0;
    this.#neededBytes = 0;
    while (at < all.length) {
      if (this.#unwantedBytes > 0) {
        const unwanted = all.subarray(at, at + this.#unwantedBytes);
        this.#unwantedBytes -= unwanted.length;
        at += unwanted.length;
        yield { kind: 'bytes', bytes: unwanted };
        continue;
      }
      if (all.length - at < HEAD_BYTES) break;
      const type = String.fromCharCode(all[at] ?? 0);
      const length = all.readInt32BE(at + 1);
      if (length < 4) throw new ProtocolError('Postgres', 'a message shorter than its own length');
      const end = at + 1 + length;
      if (!this.#isWanted(type) || length >= this.#maxMessageBytes) {
        this.#unwantedBytes = 1 + length;
      } else if (all.length < end) {
        this.#neededBytes = end - at;
        break;
      } else {
        yield { kind: 'message', type, bytes: all.subarray(at, end) };
        at = end;
      }
    }
    this.#held = at < all.length ? [all.subarray(at)] : [];
    this.#heldBytes = all.length - at;
  }
}

/** Reads the strings that the body of a message begins with. */
export function stringsOf(bytes: Buffer, count: number): string[] {
  const strings: string[] = [];
  let from = HEAD_BYTES;
  for (let index = 0; index < count; index += 1) {
    const end = bytes.indexOf(0, from);
    if (end === -1) break;
    strings.push(bytes.toString('utf8', from, end));
    from = end + 1;
  }
  return strings;
}
