import type { Gateways } from '@holdfast/network';
import { SnapshotInvalidError } from '../errors.ts';
import type { BlockFiles } from './block-files.ts';
import { type BlockName, createBlockVerifier, parseCid } from './cid.ts';
import { type FileNode, readFileNode } from './dag-pb.ts';
import type { ResolvedSyncOptions } from './sync-options.ts';

/** A file may be so many levels of blocks. */
const MAX_DEPTH = 16;

/**
 * One file, block by block. No byte is taken over that is not as the CID says: a block is asked for by its own name and
 * verified by it, so that a gateway cannot send another file, nor another part of it.
 */
export class FileDownload {
  readonly #gateways: Gateways;
  readonly #files: BlockFiles | undefined;
  readonly #options: ResolvedSyncOptions;
  readonly #signal: AbortSignal;
  readonly #cid: string;
  #blocks = 0;
  #bytes = 0;

  constructor(
    cid: string,
    deps: {
      readonly gateways: Gateways;
      readonly files: BlockFiles | undefined;
      readonly options: ResolvedSyncOptions;
      readonly signal: AbortSignal;
    },
  ) {
    this.#cid = cid;
    this.#gateways = deps.gateways;
    this.#files = deps.files;
    this.#options = deps.options;
    this.#signal = deps.signal;
  }

  /** @throws CidUnsupportedError, SnapshotInvalidError, what the gateways throw, or the signal's reason */
  async read(): Promise<Uint8Array> {
    return Buffer.concat(await this.#partsOf(parseCid(this.#cid), 1));
  }

  async #partsOf(name: BlockName, depth: number): Promise<Uint8Array[]> {
    const block = await this.#block(name);
    if (name.isRaw) return [this.#counted(block)];
    const { data, links, blockSizes } = this.#nodeOf(block);
    if (depth >= MAX_DEPTH) throw this.#invalid(`has more than ${MAX_DEPTH} levels`);
    const parts = [this.#counted(data)];
    const { blockConcurrency } = this.#options;
    for (let from = 0; from < links.length; from += blockConcurrency) {
      const together = links.slice(from, from + blockConcurrency);
      const read = together.map(async (link, at) => {
        const part = await this.#partsOf(parseCid(link), depth + 1);
        const bytes = part.reduce((sum, { byteLength }) => sum + byteLength, 0);
        if (bytes === blockSizes[from + at]) return part;
        throw this.#invalid('has a part of another size than it says');
      });
      for (const part of await settled(read)) parts.push(...part);
    }
    return parts;
  }

  async #block(name: BlockName): Promise<Uint8Array> {
    this.#signal.throwIfAborted();
    const { maxBlocks, maxBlockBytes: maxBytes, blockTimeoutMs: timeoutMs } = this.#options;
    this.#blocks += 1;
    if (this.#blocks > maxBlocks) throw this.#invalid(`has more than ${maxBlocks} blocks`);
    const stored = await this.#files?.find(name);
    if (stored !== undefined) return stored;
    const { bytes } = await this.#gateways.download(`/ipfs/${name.text}?format=raw`, {
      verify: () => createBlockVerifier(name),
      headers: { accept: 'application/vnd.ipld.raw' },
      maxBytes,
      timeoutMs,
      signal: this.#signal,
    });
    await this.#files?.store(name, bytes);
    return bytes;
  }

  #nodeOf(block: Uint8Array): FileNode {
    try {
      return readFileNode(block);
    } catch (error) {
      throw this.#invalid(error instanceof RangeError ? error.message : 'cannot be read', error);
    }
  }

  #counted(bytes: Uint8Array): Uint8Array {
    const { maxBytes } = this.#options;
    this.#bytes += bytes.byteLength;
    if (this.#bytes > maxBytes) throw this.#invalid(`has more than ${maxBytes} bytes`);
    return bytes;
  }

  #invalid(seen: string, cause?: unknown): SnapshotInvalidError {
    return new SnapshotInvalidError(this.#cid, seen, cause);
  }
}

/** Waits for all, so that nothing runs on when one has failed. */
async function settled<T>(work: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(work);
  return Promise.all(work);
}
