import {
  brotliCompressSync,
  deflateRawSync,
  deflateSync,
  gzipSync,
  zstdCompressSync,
} from 'node:zlib';

/** How bodies are encoded, by the value of `content-encoding`. */
export interface Encoding {
  readonly name: string;
  readonly header: string;
  encode(bytes: Uint8Array): Buffer;
}

export const encodings: readonly Encoding[] = [
  { name: 'identity', header: '', encode: (bytes) => Buffer.from(bytes) },
  { name: 'gzip', header: 'gzip', encode: (bytes) => gzipSync(bytes) },
  { name: 'deflate', header: 'deflate', encode: (bytes) => deflateSync(bytes) },
  { name: 'bare deflate', header: 'deflate', encode: (bytes) => deflateRawSync(bytes) },
  { name: 'br', header: 'br', encode: (bytes) => brotliCompressSync(bytes) },
  { name: 'zstd', header: 'zstd', encode: (bytes) => zstdCompressSync(bytes) },
  {
    name: 'gzip in br',
    header: 'gzip, br',
    encode: (bytes) => brotliCompressSync(gzipSync(bytes)),
  },
];
