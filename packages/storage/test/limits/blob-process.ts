/**
 * Uploads a Blob and prints, as one line of JSON, by how many bytes the memory of the process grew at the most:
 * `node blob-process.ts <directory> <MiB> <file | memory>`.
 */
import { hash } from 'node:crypto';
import { openAsBlob } from 'node:fs';
import { open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createMemoryBackend } from '../../src/backends/memory.ts';
import { createStorage } from '../../src/create-storage.ts';

const MIB = 1_048_576;
const [directory = '', size = '', kind = ''] = process.argv.slice(2);
const count = Number(size);
const piece = Buffer.alloc(MIB, 'a piece of a long body, ');

async function fileBlob(): Promise<Blob> {
  const path = join(directory, 'body');
  const file = await open(path, 'w');
  for (let part = 0; part < count; part += 1) await file.write(piece);
  await file.close();
  return openAsBlob(path);
}

/** The most memory that was resident since {@link forgetPeak}. */
async function peakBytes(): Promise<number> {
  const status = await readFile('/proc/self/status', 'utf8');
  return Number(/^VmHWM:\s*(\d+) kB$/m.exec(status)?.[1]) * 1_024;
}

/** What making the Blob took at its peak is not of interest. */
const forgetPeak = (): Promise<void> => writeFile('/proc/self/clear_refs', '5');

const blob = kind === 'file' ? await fileBlob() : new Blob(Array(count).fill(piece));
const memory = createMemoryBackend({ name: 'primary' });
/** Reads the body as a client does that sends it, and keeps nothing. */
let received = 0;
const primary = Object.assign(memory, {
  put: async (_key: string, body: Parameters<typeof memory.put>[1]) => {
    for await (const chunk of body.open()) received += chunk.byteLength;
    return { kind: 'ok', value: {} } as const;
  },
});
const storage = createStorage({
  backends: [primary],
  journal: { directory: join(directory, 'journal'), minFreeBytes: 0 },
});
// What is used by every upload is there before.
await storage.upload('first', hash('sha256', piece, 'hex').repeat(2_000));
await forgetPeak();
const before = await peakBytes();
received = 0;
await storage.upload('k', blob, { acknowledgeWithinMs: 60_000 });
const grown = (await peakBytes()) - before;
await storage.close();
process.stdout.write(`${JSON.stringify({ received, grown })}\n`);
