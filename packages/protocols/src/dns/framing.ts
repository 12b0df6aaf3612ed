/** Over TCP each message is preceded by its length in two bytes: RFC 1035, section 4.2.2. */

const LENGTH_BYTES = 2;

/** A message with its length before it, as TCP carries it. */
export function frameMessage(message: Buffer): Buffer {
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
}

/** Cuts a TCP stream into messages and passes each complete one to `onMessage`. */
export function createFrameReader(onMessage: (message: Buffer) => void): (chunk: Buffer) => void {
  let held = Buffer.alloc(0);
  return (chunk) => {
    held = Buffer.concat([held, chunk]);
    while (held.length >= LENGTH_BYTES) {
      const end = LENGTH_BYTES + held.readUInt16BE(0);
      if (held.length < end) return;
      const message = held.subarray(LENGTH_BYTES, end);
      held = held.subarray(end);
      onMessage(message);
    }
  };
}
