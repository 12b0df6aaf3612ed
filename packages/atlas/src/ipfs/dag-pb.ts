/** Reads the blocks of files on IPFS: dag-pb, and UnixFS in it. Only files: no directory, no symbolic link. */

/** A block of a file: its own bytes, or the blocks that it consists of. */
export interface FileNode {
  readonly data: Uint8Array;
  /** The CIDs of its parts, in order, as bytes. */
  readonly links: readonly Uint8Array[];
  /** How many bytes of the file each part has. */
  readonly blockSizes: readonly number[];
}

interface Field {
  readonly number: number;
  readonly value: number | Uint8Array;
}

/** Numbers of protobuf fields. */
const NODE_DATA = 1;
const NODE_LINKS = 2;
const LINK_HASH = 1;
const FILE_TYPE = 1;
const FILE_DATA = 2;
const FILE_BLOCK_SIZES = 4;
/** Values of the UnixFS type. */
const RAW = 0;
const FILE = 2;

/** @throws {RangeError} with what is wrong, when it is no block of a file */
export function readFileNode(block: Uint8Array): FileNode {
  const links: Uint8Array[] = [];
  let inner: Uint8Array | undefined;
  for (const { number, value } of fieldsOf(block)) {
    if (typeof value === 'number') continue;
    if (number === NODE_DATA) inner = value;
    if (number === NODE_LINKS) links.push(hashOf(value));
  }
  if (inner === undefined) throw new RangeError('is no file: its block has no data');
  let type: number | undefined;
  let data = new Uint8Array();
  const blockSizes: number[] = [];
  for (const { number, value } of fieldsOf(inner)) {
    if (number === FILE_TYPE && typeof value === 'number') type = value;
    if (number === FILE_DATA && typeof value !== 'number') data = Uint8Array.from(value);
    if (number === FILE_BLOCK_SIZES) blockSizes.push(...numbersOf(value));
  }
  if (type !== FILE && type !== RAW) throw new RangeError('is no file, but a directory or a link');
  if (blockSizes.length !== links.length) throw new RangeError('has parts without sizes');
  return { data, links, blockSizes };
}

function hashOf(link: Uint8Array): Uint8Array {
  for (const { number, value } of fieldsOf(link)) {
    if (number === LINK_HASH && typeof value !== 'number') return value;
  }
  throw new RangeError('has a link without a CID');
}

/** Repeated numbers may be packed into one field. */
function numbersOf(value: number | Uint8Array): number[] {
  if (typeof value === 'number') return [value];
  const numbers: number[] = [];
  for (let at = 0; at < value.length;) {
    const read = readVarint(value, at);
    numbers.push(read.value);
    at = read.end;
  }
  return numbers;
}

const VARINT = 0;
const BYTES = 2;
const TYPE_BITS = 8;

function* fieldsOf(bytes: Uint8Array): Generator<Field> {
  for (let at = 0; at < bytes.length;) {
    const key = readVarint(bytes, at);
    const number = Math.floor(key.value / TYPE_BITS);
    const kind = key.value % TYPE_BITS;
    const read = readVarint(bytes, key.end);
    if (kind === VARINT) {
      yield { number, value: read.value };
      at = read.end;
      continue;
    }
    if (kind !== BYTES) throw new RangeError('has a field of an unknown kind');
    at = read.end + read.value;
    if (at > bytes.length) throw new RangeError('is cut');
    yield { number, value: bytes.subarray(read.end, at) };
  }
}

const BYTE = 0x80;

function readVarint(bytes: Uint8Array, start: number): { value: number; end: number } {
  let value = 0;
  let factor = 1;
  for (let at = start; at < bytes.length; at += 1) {
    const byte = bytes[at] ?? 0;
    value += (byte % BYTE) * factor;
    if (value > Number.MAX_SAFE_INTEGER) break;
    if (byte < BYTE) return { value, end: at + 1 };
    factor *= BYTE;
  }
  throw new RangeError('is cut, or has a number that is too large');
}
