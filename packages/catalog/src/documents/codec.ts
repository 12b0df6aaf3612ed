import * as zlib from 'node:zlib';

/** How the content of a chunk is compressed. Both carry a checksum of the content. */
export type Codec = 'zstd' | 'gzip';

/** Zstandard is there from Node 22.15 on. */
export const DEFAULT_CODEC: Codec = 'createZstdCompress' in zlib ? 'zstd' : 'gzip';

const LEVEL = 3;
/** A larger window than a writer here uses is refused: it would be memory. */
const WINDOW_LOG_MAX = 23;
/** A buffer of the decoder; one for the whole content would be allocated on the word of its header. */
const MAX_BUFFER_BYTES = 1_048_576;
const MIN_BUFFER_BYTES = 64;

/**
 * Up to so much content zstd runs at once: that takes less than 200 us, and a job of the thread pool costs twice as
 * much as the work itself.
 */
const INLINE_BYTES = 131_072;

export async function compress(content: Uint8Array, codec: Codec): Promise<Buffer> {
  if (codec === 'gzip') return settled((done) => zlib.gzip(content, done));
  const params = {
    [zlib.constants.ZSTD_c_compressionLevel]: LEVEL,
    [zlib.constants.ZSTD_c_checksumFlag]: 1,
  };
  if (content.length <= INLINE_BYTES) return zlib.zstdCompressSync(content, { params });
  return settled((done) => zlib.zstdCompress(content, { params }, done));
}

/** Rejects when there would be more than `contentBytes`. */
export async function decompress(
  bytes: Uint8Array,
  codec: Codec,
  contentBytes: number,
): Promise<Buffer> {
  const maxOutputLength = Math.max(1, contentBytes);
  const chunkSize = Math.min(MAX_BUFFER_BYTES, Math.max(MIN_BUFFER_BYTES, contentBytes));
  const bounds = { maxOutputLength, chunkSize };
  if (codec === 'gzip') return settled((done) => zlib.gunzip(bytes, bounds, done));
  const params = { [zlib.constants.ZSTD_d_windowLogMax]: WINDOW_LOG_MAX };
  const options = { ...bounds, params };
  if (contentBytes <= INLINE_BYTES) return zlib.zstdDecompressSync(bytes, options);
  return settled((done) => zlib.zstdDecompress(bytes, options, done));
}

type Done = (error: Error | null, result: Buffer) => void;

function settled(start: (done: Done) => void): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    start((error, result) => {
      if (error === null) resolve(result);
      else reject(error);
    });
  });
}
