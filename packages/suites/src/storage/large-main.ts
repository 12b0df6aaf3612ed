/**
 * Transfers one large object through a storage, in a child process whose memory can be measured and that can be
 * killed: `node large-main.ts <options as JSON>`.
 */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { S3Client } from '@aws-sdk/client-s3';
import {
  type StorageBackend,
  createStorage,
  diskBackend,
  s3Backend,
  supabaseBackend,
} from '@holdfast/storage';
import {
  CHUNK_BYTES,
  type LargeTransferOptions,
  type LargeTransferReport,
  largeChunk,
} from './large.ts';

const KIB = 1_024;
const MIB = 1_048_576;
const LONG_MS = 3_600_000;

const options: LargeTransferOptions = JSON.parse(process.argv[2] ?? '');
const { backend, end } = backendOf(options);
const storage = createStorage({
  backends: [backend],
  journal: {
    directory: join(options.directory, 'journal'),
    minFreeBytes: 0,
    maxBytes: 4 * options.bytes,
  },
  local: { directory: join(options.directory, 'local'), maxBytes: 4 * options.bytes },
  lateWriteMs: 2_000,
  circuitBreaker: { openDurationMs: 50, maxOpenDurationMs: 200 },
});
await storage.ready();
const report = (sent: LargeTransferReport): void => void process.send?.(sent);

switch (options.task) {
  case 'measure': {
    // Warms up: modules that load with the first calls do not belong to the object.
    await storage.upload('small', Buffer.alloc(MIB), { acknowledgeWithinMs: LONG_MS });
    await (await storage.download('small')).bytes();
    const beforeBytes = resetPeak();
    await storage.upload(options.path, () => generated(options.bytes), { acknowledgeWithinMs: 0 });
    const spooledBytes = resetPeak() - beforeBytes;
    const left = await storage.flush({ deadlineMs: LONG_MS });
    const drainedBytes = resetPeak() - beforeBytes;
    const sha256 = await sha256Of((await storage.download(options.path)).body);
    const readBytes = resetPeak() - beforeBytes;
    await sha256Of(fresh(options.bytes));
    const bareBytes = Math.max(0, resetPeak() - beforeBytes);
    report({ left, sha256, bareBytes, spooledBytes, drainedBytes, readBytes });
    break;
  }
  case 'accept':
    await storage.upload(options.path, () => generated(options.bytes), { acknowledgeWithinMs: 0 });
    // Runs until the process is killed.
    await storage.flush({ deadlineMs: LONG_MS });
    break;
  case 'go on': {
    const left = await storage.flush({ deadlineMs: LONG_MS });
    const sha256 = await sha256Of((await storage.download(options.path)).body);
    report({ left, sha256, bareBytes: 0, spooledBytes: 0, drainedBytes: 0, readBytes: 0 });
  }
}
await storage.close({ deadlineMs: 0 });
end();
process.disconnect();

function backendOf({ to, directory }: LargeTransferOptions): {
  backend: StorageBackend;
  end: () => void;
} {
  if (to.kind === 'disk') {
    const disk = diskBackend({ directory: join(directory, 'disk') });
    return { backend: disk, end: () => undefined };
  }
  const { bucket } = to;
  if (to.kind === 'supabase') {
    const { url, key } = to;
    return { backend: supabaseBackend({ url, key, bucket }), end: () => undefined };
  }
  const { url: endpoint, credentials } = to;
  const client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials });
  return { backend: s3Backend({ client, bucket }), end: () => client.destroy() };
}

/**
 * A body of any length, in chunks of a socket's size, each with other bytes than the previous one. All chunks
 * share one buffer: the garbage of a source that allocates belongs to the source, not to the measurement.
 */
async function* generated(bytes: number): AsyncGenerator<Uint8Array> {
  const chunk = Buffer.alloc(CHUNK_BYTES);
  for (let from = 0; from < bytes; from += CHUNK_BYTES) yield largeChunk(from, bytes, chunk);
}

/** The same body in newly allocated chunks, as a socket or a file provides them. */
async function* fresh(bytes: number): AsyncGenerator<Uint8Array> {
  for await (const chunk of generated(bytes)) yield Buffer.from(chunk);
}

async function sha256Of(body: AsyncIterable<Uint8Array>): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of body) hash.update(chunk);
  return hash.digest('hex');
}

/** The peak of this process's memory since the last call, in bytes, as counted by the kernel. */
function resetPeak(): number {
  const status = readFileSync('/proc/self/status', 'utf8');
  // 5 resets the peak: https://docs.kernel.org/filesystems/proc.html
  writeFileSync('/proc/self/clear_refs', '5');
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) * KIB;
}
