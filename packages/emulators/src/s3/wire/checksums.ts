import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';

/** Checksum algorithms by their names in S3. */
export const CHECKSUMS = ['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256'] as const;
export type ChecksumName = (typeof CHECKSUMS)[number];

/** A checksum that is being computed. */
interface Checksum {
  update(piece: Uint8Array): void;
  /** The checksum in base64. */
  digest(): string;
}

export function createChecksum(name: ChecksumName): Checksum {
  if (name === 'CRC32') return crc32Checksum();
  if (name === 'CRC32C') return crc32cChecksum();
  if (name === 'CRC64NVME') return crc64Checksum();
  const hash = createHash(name);
  return { update: (piece) => void hash.update(piece), digest: () => hash.digest('base64') };
}

/** The header that carries a checksum, such as `x-amz-checksum-crc32`. */
export function checksumHeader(name: ChecksumName): string {
  return `x-amz-checksum-${name.toLowerCase()}`;
}

export function checksumNamed(name: string): ChecksumName | undefined {
  return CHECKSUMS.find((known) => known === name.toUpperCase());
}

/** The checksum of a multipart object: the checksum of its parts' checksums, and the number of parts. */
export function compositeChecksum(name: ChecksumName, parts: readonly string[]): string {
  const checksum = createChecksum(name);
  for (const part of parts) checksum.update(Buffer.from(part, 'base64'));
  return `${checksum.digest()}-${parts.length}`;
}

function crc32Checksum(): Checksum {
  let crc = 0;
  return {
    update: (piece) => void (crc = crc32(piece, crc)),
    digest: () => base64Of(crc),
  };
}

/** The Castagnoli polynomial, reflected. */
const CRC32C_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});

function crc32cChecksum(): Checksum {
  let crc = -1;
  return {
    update(piece) {
      for (const byte of piece) crc = (crc >>> 8) ^ (CRC32C_TABLE[(crc ^ byte) & 0xff] ?? 0);
    },
    digest: () => base64Of(~crc),
  };
}

/** The polynomial 0xad93d23594c93659, reflected, as a high and a low half: bigints would be slow. */
const [CRC64_HIGH, CRC64_LOW] = crc64Tables();

function crc64Tables(): [Uint32Array, Uint32Array] {
  const highs = new Uint32Array(256);
  const lows = new Uint32Array(256);
  for (let byte = 0; byte < 256; byte += 1) {
    let high = 0;
    let low = byte;
    for (let bit = 0; bit < 8; bit += 1) {
      const carry = low & 1;
      low = (low >>> 1) | (high << 31);
      high >>>= 1;
      if (carry === 1) {
        high ^= 0x9a6c9329;
        low ^= 0xac4bc9b5;
      }
    }
    highs[byte] = high;
    lows[byte] = low;
  }
  return [highs, lows];
}

function crc64Checksum(): Checksum {
  let high = -1;
  let low = -1;
  return {
    update(piece) {
      for (const byte of piece) {
        const at = (low ^ byte) & 0xff;
        low = ((low >>> 8) | (high << 24)) ^ (CRC64_LOW[at] ?? 0);
        high = (high >>> 8) ^ (CRC64_HIGH[at] ?? 0);
      }
    },
    digest: () => base64Of(~high, ~low),
  };
}

function base64Of(...words: readonly number[]): string {
  const bytes = Buffer.alloc(words.length * 4);
  words.forEach((word, at) => bytes.writeUInt32BE(word >>> 0, at * 4));
  return bytes.toString('base64');
}
