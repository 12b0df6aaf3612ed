import { createHash } from 'node:crypto';
import { CID } from 'multiformats/cid';
import { create } from 'multiformats/hashes/digest';

const RAW = 0x55;
const DAG_PB = 0x70;
const SHA2_256 = 0x12;

/** Blocks by their CIDs, and the CID of the file that they are. */
export interface Dag {
  readonly cid: string;
  readonly blocks: Map<string, Uint8Array>;
}

function cidOf(codec: number, block: Uint8Array): CID {
  return CID.createV1(codec, create(SHA2_256, createHash('sha256').update(block).digest()));
}

const varint = (value: number): number[] =>
  value < 0x80 ? [value] : [(value % 0x80) + 0x80, ...varint(Math.floor(value / 0x80))];
const bytesField = (number: number, bytes: Uint8Array): Buffer =>
  Buffer.from([number * 8 + 2, ...varint(bytes.byteLength), ...bytes]);
const numberField = (number: number, value: number): Buffer =>
  Buffer.from([number * 8, ...varint(value)]);

/** A block of UnixFS, as `ipfs add` writes it: links first. */
export function fileBlock(
  parts: readonly { readonly cid: CID; readonly size: number }[],
  type = 2,
): Uint8Array {
  const total = parts.reduce((sum, { size }) => sum + size, 0);
  const inner = [numberField(1, type), numberField(3, total)];
  for (const { size } of parts) inner.push(numberField(4, size));
  const links = parts.map(({ cid, size }) =>
    bytesField(
      2,
      Buffer.concat([
        bytesField(1, cid.bytes),
        bytesField(2, Buffer.alloc(0)),
        numberField(3, size),
      ]),
    ),
  );
  return Buffer.concat([...links, bytesField(1, Buffer.concat(inner))]);
}

/** A file of raw leaves of so many bytes, under one root or two levels of them. */
export function dagOf(content: Uint8Array, leafBytes = content.byteLength, fanout = 1_000): Dag {
  const blocks = new Map<string, Uint8Array>();
  const add = (codec: number, block: Uint8Array, size: number): { cid: CID; size: number } => {
    const cid = cidOf(codec, block);
    blocks.set(cid.toString(), block);
    return { cid, size };
  };
  let level = Array.from({ length: Math.ceil(content.byteLength / leafBytes) }, (_, at) => {
    const leaf = content.subarray(at * leafBytes, (at + 1) * leafBytes);
    return add(RAW, leaf, leaf.byteLength);
  });
  while (level.length > 1) {
    level = Array.from({ length: Math.ceil(level.length / fanout) }, (_, at) => {
      const parts = level.slice(at * fanout, (at + 1) * fanout);
      const size = parts.reduce((sum, part) => sum + part.size, 0);
      return add(DAG_PB, fileBlock(parts), size);
    });
  }
  return { cid: level[0]?.cid.toString() ?? '', blocks };
}

/** Adds a block that is not one of a file. */
export function dagPbOf(block: Uint8Array): Dag {
  const cid = cidOf(DAG_PB, block).toString();
  return { cid, blocks: new Map([[cid, block]]) };
}
