import { fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';

/** Where a large object goes. */
export type LargeTarget =
  | { readonly kind: 'disk' }
  | {
      readonly kind: 'supabase';
      readonly url: string;
      readonly key: string;
      readonly bucket: string;
    }
  | {
      readonly kind: 's3';
      readonly url: string;
      readonly credentials: { accessKeyId: string; secretAccessKey: string };
      readonly bucket: string;
    };

export interface LargeTransferOptions {
  /** `accept` ends only by being killed; `go on` is the next process. */
  readonly task: 'measure' | 'accept' | 'go on';
  readonly to: LargeTarget;
  readonly path: string;
  readonly bytes: number;
  /** For journal, local copies, and what a disk backend keeps. */
  readonly directory: string;
}

export interface LargeTransferReport {
  /** Writes that were not delivered. */
  readonly left: number;
  /** Of what was read back. */
  readonly sha256: string;
  /** Most memory beyond what a small object needs, while it was accepted, delivered, read back. */
  readonly spooledBytes: number;
  readonly drainedBytes: number;
  readonly readBytes: number;
  /** The same while nothing but Node handed out such a body in chunks of their own. */
  readonly bareBytes: number;
}

/** What a socket hands out at once, at most. */
export const CHUNK_BYTES: number = 65_536;

/** The bytes at `from` of an object of that length, in the place given. */
export function largeChunk(from: number, bytes: number, into: Buffer): Buffer {
  return into.subarray(0, bytes - from).fill(`${from} `);
}

function start(order: LargeTransferOptions) {
  const child = fork(join(import.meta.dirname, 'large-main.ts'), [JSON.stringify(order)], {
    execArgv: ['--disable-warning=ExperimentalWarning'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  return { child, exited: once(child, 'exit') };
}

/** Lets a process of its own do it, to its end. */
export async function transferLarge(order: LargeTransferOptions): Promise<LargeTransferReport> {
  const { child, exited } = start(order);
  let report: LargeTransferReport | undefined;
  child.on('message', (message: LargeTransferReport) => (report = message));
  await exited;
  if (report === undefined) throw new Error(`the process of ${order.task} ended without a word`);
  return report;
}

/** Lets a process of its own begin, and kills it (SIGKILL) once that is wanted. */
export async function killWhile(
  order: LargeTransferOptions,
  wanted: () => Promise<void>,
): Promise<void> {
  const { child, exited } = start(order);
  try {
    const early = exited.then(() => Promise.reject(new Error('the process ended by itself')));
    await Promise.race([wanted(), early]);
  } finally {
    child.kill('SIGKILL');
    await exited;
  }
}

/** Of the body that the process makes. */
export function sha256OfLarge(bytes: number): string {
  const hash = createHash('sha256');
  const chunk = Buffer.alloc(CHUNK_BYTES);
  for (let from = 0; from < bytes; from += CHUNK_BYTES) hash.update(largeChunk(from, bytes, chunk));
  return hash.digest('hex');
}
