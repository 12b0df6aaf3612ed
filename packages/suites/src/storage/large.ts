import { fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';

/** The target of a large object. */
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
  /** `accept` runs until the process is killed; `go on` is the next process. */
  readonly task: 'measure' | 'accept' | 'go on';
  readonly to: LargeTarget;
  readonly path: string;
  readonly bytes: number;
  /** The folder for the journal, the local copies and the disk backend. */
  readonly directory: string;
}

export interface LargeTransferReport {
  /** Writes that were not delivered. */
  readonly left: number;
  /** Digest of the bytes read back. */
  readonly sha256: string;
  /** Peak memory beyond that of a small object, while the object was accepted, delivered and read back. */
  readonly spooledBytes: number;
  readonly drainedBytes: number;
  readonly readBytes: number;
  /** The same while only Node provided such a body in newly allocated chunks. */
  readonly bareBytes: number;
}

/** The largest chunk that a socket provides. */
export const CHUNK_BYTES: number = 65_536;

/** Fills the given buffer with the bytes at `from` of an object of that length. */
export function largeChunk(from: number, bytes: number, into: Buffer): Buffer {
  return into.subarray(0, bytes - from).fill(`${from} `);
}

function start(options: LargeTransferOptions) {
  const child = fork(join(import.meta.dirname, 'large-main.ts'), [JSON.stringify(options)], {
    execArgv: ['--disable-warning=ExperimentalWarning'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  return { child, exited: once(child, 'exit') };
}

/** Runs the transfer in a child process until it exits. */
export async function transferLarge(options: LargeTransferOptions): Promise<LargeTransferReport> {
  const { child, exited } = start(options);
  let report: LargeTransferReport | undefined;
  child.on('message', (message: LargeTransferReport) => (report = message));
  await exited;
  if (report === undefined)
    throw new Error(`the process of ${options.task} exited without a report`);
  return report;
}

/** Starts the transfer in a child process, and kills it (SIGKILL) once `wanted` resolves. */
export async function killWhile(
  options: LargeTransferOptions,
  wanted: () => Promise<void>,
): Promise<void> {
  const { child, exited } = start(options);
  try {
    const early = exited.then(() =>
      Promise.reject(new Error('the process exited without being killed')),
    );
    await Promise.race([wanted(), early]);
  } finally {
    child.kill('SIGKILL');
    await exited;
  }
}

/** The digest of the body that the child process generates. */
export function sha256OfLarge(bytes: number): string {
  const hash = createHash('sha256');
  const chunk = Buffer.alloc(CHUNK_BYTES);
  for (let from = 0; from < bytes; from += CHUNK_BYTES) hash.update(largeChunk(from, bytes, chunk));
  return hash.digest('hex');
}
