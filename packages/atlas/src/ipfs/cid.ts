import { createHash } from 'node:crypto';
import type { ContentVerifier } from '@holdfast/network';
import { CID } from 'multiformats/cid';
import { CidUnsupportedError } from '../errors.ts';

/** The name of a block, as far as it is verified here. */
export interface BlockName {
  /** In its canonical text. */
  readonly text: string;
  readonly isRaw: boolean;
  /** SHA-256 of the block. */
  readonly digest: Uint8Array;
}

const RAW = 0x55;
const DAG_PB = 0x70;
const SHA2_256 = 0x12;

/** @throws CidUnsupportedError */
export function parseCid(given: string | Uint8Array): BlockName {
  const shown = typeof given === 'string' ? given : 'a link';
  let cid: CID;
  try {
    cid = typeof given === 'string' ? CID.parse(given) : CID.decode(given);
  } catch (error) {
    throw new CidUnsupportedError(shown, 'is no CID', error);
  }
  const text = cid.toString();
  if (cid.multihash.code !== SHA2_256) {
    throw new CidUnsupportedError(text, 'has another hash than SHA-256');
  }
  if (cid.code !== RAW && cid.code !== DAG_PB) {
    throw new CidUnsupportedError(text, 'has another codec than raw and dag-pb');
  }
  return { text, isRaw: cid.code === RAW, digest: cid.multihash.digest };
}

/** Compares what streams in with the hash in the name. */
export function createBlockVerifier({ digest }: BlockName): ContentVerifier {
  const hash = createHash('sha256');
  return {
    update: (chunk) => void hash.update(chunk),
    matches: () => hash.digest().equals(digest),
  };
}

/** Whether bytes are those of the name. */
export function isBlockOf(name: BlockName, bytes: Uint8Array): boolean {
  return createHash('sha256').update(bytes).digest().equals(name.digest);
}
