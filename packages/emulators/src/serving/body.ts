import type { IncomingMessage } from 'node:http';

/** The chunks of a request's body. A consumer that stops early leaves the connection open. */
export async function* bodyChunks(
  message: IncomingMessage,
  onBytes: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of message.iterator({ destroyOnReturn: false })) {
    if (!(chunk instanceof Uint8Array)) continue;
    onBytes(chunk.length);
    yield chunk;
  }
}

/** All bytes of a body. Rejects with the error of `tooLarge` when there are more than `maxBytes`. */
export async function readBytes(
  body: AsyncIterable<Uint8Array>,
  maxBytes: number,
  tooLarge: () => Error = () => new RangeError(`the body has more than ${maxBytes} bytes`),
): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > maxBytes) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
