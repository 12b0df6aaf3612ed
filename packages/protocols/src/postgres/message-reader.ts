import { ProtocolError } from '../protocol-error.ts';

/** One message of the protocol: its type, and all of its bytes. */
export interface PostgresMessage {
  readonly type: string;
  readonly bytes: Buffer;
}

export interface MessageReaderSetting {
  /** A wanted message that is longer passes unread. */
  readonly maxMessageBytes: number;
  readonly isWanted: (type: string) => boolean;
  /** A wanted message, whole. */
  readonly onMessage: (message: PostgresMessage) => void;
  /** Bytes of the other messages, as they come. */
  readonly onPassing: (bytes: Buffer) => void;
}

const HEAD_BYTES = 5;

/** Cuts a stream of typed messages (type, length, body), either way, wherever its packets end. */
export function createMessageReader(setting: MessageReaderSetting): (bytes: Buffer) => void {
  const { maxMessageBytes, isWanted, onMessage, onPassing } = setting;
  let held: Buffer[] = [];
  let heldBytes = 0;
  let wantedBytes = 0;
  /** Of the message that passes, how much is to come. */
  let passingBytes = 0;
  return (bytes) => {
    held.push(bytes);
    heldBytes += bytes.length;
    if (heldBytes < wantedBytes) return;
    const all = held.length === 1 ? bytes : Buffer.concat(held);
    let at = 0;
    wantedBytes = 0;
    while (at < all.length) {
      if (passingBytes > 0) {
        const passing = all.subarray(at, at + passingBytes);
        passingBytes -= passing.length;
        at += passing.length;
        onPassing(passing);
        continue;
      }
      if (all.length - at < HEAD_BYTES) break;
      const type = String.fromCharCode(all[at] ?? 0);
      const length = all.readInt32BE(at + 1);
      if (length < 4) throw new ProtocolError('Postgres', 'a message shorter than its own length');
      const end = at + 1 + length;
      if (!isWanted(type) || length >= maxMessageBytes) {
        passingBytes = 1 + length;
      } else if (all.length < end) {
        wantedBytes = end - at;
        break;
      } else {
        onMessage({ type, bytes: all.subarray(at, end) });
        at = end;
      }
    }
    held = at < all.length ? [all.subarray(at)] : [];
    heldBytes = all.length - at;
  };
}
