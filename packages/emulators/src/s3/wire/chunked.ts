import { createHash } from 'node:crypto';
import { s3Error } from './error.ts';
import type { ChunkSigner } from './signature.ts';
import { isEqualInConstantTime } from '../../serving/constant-time.ts';

/** The longest line of the framing: the head of a chunk, or a trailer. */
const MAX_LINE_BYTES = 8_192;

/**
 * Decodes the aws-chunked framing of a body: `<hex size>[;chunk-signature=...]\r\n<bytes>\r\n`, a chunk of
 * size 0, then trailers.
 * @param chunks verifies the signature of each chunk.
 * @param onTrailer called with each trailer after the body.
 */
export async function* decodeChunks(
  body: AsyncIterable<Uint8Array>,
  chunks: ChunkSigner | undefined,
  onTrailer: (name: string, value: string) => void,
): AsyncGenerator<Uint8Array> {
  const reader = frameReader(body);
  try {
    for (;;) {
      const [, hex, signature] =
        /^([0-9a-f]{1,8})(?:;chunk-signature=([0-9a-f]{64}))?$/i.exec(await reader.line()) ?? [];
      if (hex === undefined)
        throw s3Error('IncompleteBody', 'The body is not in aws-chunked framing.');
      let left = Number.parseInt(hex, 16);
      const hash = createHash('sha256');
      const isLast = left === 0;
      while (left > 0) {
        const piece = await reader.atMost(left);
        left -= piece.length;
        if (chunks !== undefined) hash.update(piece);
        yield piece;
      }
      if (
        chunks !== undefined &&
        !isEqualInConstantTime(chunks.ofChunk(hash.digest('hex')), signature ?? '')
      ) {
        throw s3Error('SignatureDoesNotMatch');
      }
      if (isLast) break;
      if ((await reader.line()) !== '') throw s3Error('IncompleteBody');
    }
    await readTrailers(reader, chunks, onTrailer);
  } finally {
    await reader.close();
  }
}

async function readTrailers(
  reader: FrameReader,
  chunks: ChunkSigner | undefined,
  onTrailer: (name: string, value: string) => void,
): Promise<void> {
  const signed = createHash('sha256');
  let isSigned = false;
  for (;;) {
    const line = await reader.line(true);
    if (line === '') break;
    const colon = line.indexOf(':');
    const name = line.slice(0, colon).trim().toLowerCase();
    const value = line.slice(colon + 1).trim();
    if (name === 'x-amz-trailer-signature') {
      const expected = chunks?.ofTrailer(signed.digest('hex'));
      if (expected !== undefined && !isEqualInConstantTime(expected, value))
        throw s3Error('SignatureDoesNotMatch');
      return;
    }
    isSigned = true;
    signed.update(`${name}:${value}\n`);
    onTrailer(name, value);
  }
  if (chunks !== undefined && isSigned) throw s3Error('SignatureDoesNotMatch');
}

interface FrameReader {
  /** The text up to the next CRLF or, with `mayEnd`, the end of the body. */
  line(mayEnd?: boolean): Promise<string>;
  /** At least one byte and at most `bytes`. */
  atMost(bytes: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

function frameReader(body: AsyncIterable<Uint8Array>): FrameReader {
  const source = body[Symbol.asyncIterator]();
  let held = Buffer.alloc(0);
  const more = async (): Promise<boolean> => {
    const { done, value } = await source.next();
    if (done === true) return false;
    held = Buffer.concat([held, value]);
    return true;
  };
  return {
    async line(mayEnd = false) {
      for (;;) {
        const end = held.indexOf('\r\n');
        if (end !== -1) {
          const line = held.toString('latin1', 0, end);
          held = held.subarray(end + 2);
          return line;
        }
        if (held.length > MAX_LINE_BYTES) throw s3Error('IncompleteBody');
        if (await more()) continue;
        if (!mayEnd || held.length > 0) throw s3Error('IncompleteBody');
        return '';
      }
    },
    async atMost(bytes) {
      if (held.length === 0 && !(await more())) throw s3Error('IncompleteBody');
      const piece = held.subarray(0, bytes);
      held = held.subarray(piece.length);
      return piece;
    },
    async close() {
      await source.return?.();
    },
  };
}
