import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import type { FaultHook, ServerFault } from '@holdfast/stage';
import { createStorage } from '../../src/create-storage.ts';
import type { StorageBackend } from '../../src/backend.ts';
import type { Storage } from '../../src/storage.ts';
import { openS3, openSupabase } from '../backends/servers.ts';

const MIB = 1_048_576;
const BYTES = Number(process.env['HOLDFAST_LARGE_BYTES'] ?? 17 * MIB + 1_234);
/** The permitted growth of memory while an object is sent; one of 1 GiB must fit too. */
const MAX_GROWTH_BYTES = 64 * MIB;

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

/** Removed after everything opened in it is closed. */
async function freshDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-storage-'));
  closing.push(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** A generated body of any length; each mebibyte differs from the one before. */
async function* generated(): AsyncGenerator<Uint8Array> {
  for (let from = 0; from < BYTES; from += MIB) {
    yield Buffer.alloc(Math.min(MIB, BYTES - from), `${from} `);
  }
}

async function sha256Of(body: AsyncIterable<Uint8Array>): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of body) hash.update(chunk);
  return hash.digest('hex');
}

function storageOn(backend: StorageBackend, directory: string): Storage {
  const storage = createStorage({
    backends: [backend],
    journal: { directory: join(directory, 'journal'), minFreeBytes: 0, maxBytes: 4 * BYTES },
    acknowledgeWithinMs: 600_000,
    circuitBreaker: { openDurationMs: 10, maxOpenDurationMs: 50 },
    retry: { initialDelayMs: 5, maxDelayMs: 20 },
  });
  closing.push(() => storage.close({ deadlineMs: 0 }));
  return storage;
}

/** A server on its own disk, whose faults a test changes while it runs. */
async function serverOf(kind: 'supabase' | 's3') {
  const state: { fault: FaultHook } = { fault: () => undefined };
  const faults: FaultHook = (call) => state.fault(call);
  const directory = await freshDirectory();
  const options = { faults, directory };
  const { server, backend, close } =
    kind === 's3' ? await openS3(options) : await openSupabase(options);
  closing.push(close);
  return {
    backend,
    state,
    received: () => server.getStats().receivedBytes,
    asked: (operation: string) => server.getStats().requests[operation] ?? 0,
  };
}

const servers: readonly (readonly ['supabase' | 's3', number])[] = [
  ['supabase', 6 * MIB],
  ['s3', 8 * MIB],
];

test.each(servers)(
  'a large object is sent to %s in parts, in little memory',
  async (kind) => {
    const { backend } = await serverOf(kind);
    const storage = storageOn(backend, await freshDirectory());
    const before = process.memoryUsage().rss;
    let peak = before;
    const watched = async function* () {
      for await (const chunk of generated()) {
        peak = Math.max(peak, process.memoryUsage().rss);
        yield chunk;
      }
    };
    expect(await storage.upload('large', watched)).toMatchObject({ stored: 'primary' });
    peak = Math.max(peak, process.memoryUsage().rss);
    const download = await storage.download('large');
    expect(download.size).toBe(BYTES);
    expect(await sha256Of(download.body)).toBe(await sha256Of(generated()));
    // The server and its buffers live in this process too.
    expect(peak - before).toBeLessThan(2 * MAX_GROWTH_BYTES);
  },
  600_000,
);

test.each(servers)(
  'a large upload to %s that another process resumes sends at most one part twice',
  async (kind, partBytes) => {
    const { backend, state, received } = await serverOf(kind);
    const directory = await freshDirectory();
    const first = storageOn(backend, directory);
    const isPart = (operation: string): boolean => /part|patch|append|resum/i.test(operation);
    let parts = 0;
    let isDead = false;
    const died = Promise.withResolvers<void>();
    state.fault = ({ operation }): ServerFault | undefined => {
      if (isDead) return { kind: 'reset' };
      if (!isPart(operation) || /create|list|complete|head/i.test(operation)) return undefined;
      parts += 1;
      if (parts < 3) return undefined;
      isDead = true;
      died.resolve();
      return { kind: 'reset' };
    };
    await first.upload('large', generated, { acknowledgeWithinMs: 0 });
    await died.promise;
    await first.close({ deadlineMs: 0 });
    isDead = false;
    state.fault = () => undefined;
    const second = storageOn(backend, directory);
    expect(await second.flush({ deadlineMs: 600_000 })).toBe(0);
    const download = await second.download('large');
    expect(await sha256Of(download.body)).toBe(await sha256Of(generated()));
    expect(received()).toBeLessThan(BYTES + partBytes + MIB);
  },
  600_000,
);

test.each(servers)(
  'a large upload to %s whose last response is lost is not sent again',
  async (kind) => {
    const { backend, state, received } = await serverOf(kind);
    const storage = storageOn(backend, await freshDirectory());
    const seen: string[] = [];
    let offset = 0;
    state.fault = ({ operation }): ServerFault | undefined => {
      seen.push(operation);
      const isLast =
        kind === 's3' ? operation === 'CompleteMultipartUpload' : received() - offset > BYTES * 0.6;
      if (!isLast) return undefined;
      offset = Infinity;
      state.fault = () => undefined;
      return { kind: 'reset', when: 'after' };
    };
    expect(await storage.upload('large', generated)).toMatchObject({ stored: 'primary' });
    expect(received()).toBeLessThan(BYTES + 8 * MIB + MIB);
    expect(seen.length).toBeGreaterThan(2);
  },
  600_000,
);

test.each([
  ['supabase', 'patchResumable', 'deleteResumable'],
  ['s3', 'UploadPart', 'AbortMultipartUpload'],
] as const)(
  'a large upload to %s that a later write supersedes releases its parts',
  async (kind, part, end) => {
    const { backend, state, asked } = await serverOf(kind);
    const storage = storageOn(backend, await freshDirectory());
    const cut = Promise.withResolvers<void>();
    state.fault = ({ operation }): ServerFault | undefined => {
      if (operation !== part || asked(part) < 2) return undefined;
      cut.resolve();
      return { kind: 'reset' };
    };
    await storage.upload('k', generated, { acknowledgeWithinMs: 0 });
    await cut.promise;
    // Its parts are still refused; the later write has none.
    await storage.upload('k', 'small', { acknowledgeWithinMs: 0 });
    expect(await storage.flush({ deadlineMs: 600_000 })).toBe(0);
    expect(Buffer.from(await (await storage.download('k')).bytes()).toString()).toBe('small');
    expect(asked(end)).toBe(1);
  },
  600_000,
);
