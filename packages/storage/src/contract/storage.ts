import { expect, test } from '@jest/globals';
import type { Download, Storage } from '../storage.ts';

/** A new, empty storage for one test; `close` removes it. */
export interface StorageUnderTest {
  readonly storage: Storage;
  readonly close: () => Promise<void>;
}

/** The promises of every storage while its backends are up; call it once for each set of backends. */
export function honoursStorageContract(open: () => Promise<StorageUnderTest>): void {
  const promise: Promised = (name, holds) => {
    // oxlint-disable-next-line jest/expect-expect, jest/valid-title -- the caller passes name and assertions
    test(name, async () => {
      const { storage, close } = await open();
      try {
        await holds(storage);
      } finally {
        await close();
      }
    });
  };
  writes(promise);
  reads(promise);
  refuses(promise);
}

type Promised = (name: string, holds: (storage: Storage) => Promise<void>) => void;

function writes(promise: Promised): void {
  promise('an upload is on the primary, and is downloaded as it was', async (storage) => {
    const stored = await storage.upload('a/b.txt', 'hello', {
      contentType: 'text/plain',
      metadata: { color: 'blue' },
    });
    expect(stored).toEqual({
      path: 'a/b.txt',
      stored: 'primary',
      fallback: false,
      operationId: expect.any(String),
    });
    const download = await storage.download('a/b.txt');
    expect(download).toMatchObject({ path: 'a/b.txt', size: 5, metadata: { color: 'blue' } });
    expect(await textOf(download)).toBe('hello');
    expect(await storage.exists('a/b.txt')).toBe(true);
  });

  promise('every kind of body is accepted', async (storage) => {
    const bodies = {
      text: 'abc',
      bytes: Buffer.from('abc'),
      view: new Uint8Array([0, 97, 98, 99]).subarray(1),
      buffer: Uint8Array.from([97, 98, 99]).buffer,
      blob: new Blob(['abc']),
      stream: () => new Blob(['abc']).stream(),
      generator: async function* () {
        yield Buffer.from('ab');
        yield Buffer.from('c');
      },
    };
    for (const [key, body] of Object.entries(bodies)) {
      await storage.upload(key, body);
      expect(await textOf(await storage.download(key))).toBe('abc');
    }
  });

  promise('of many writes of one key the last call wins', async (storage) => {
    const big = 'x'.repeat(200_000);
    await Promise.all([
      storage.upload('k', big),
      ...Array.from({ length: 20 }, (_, write) => storage.upload('k', `write ${write}`)),
      storage.upload('k', async function* () {
        yield Buffer.from('the last');
      }),
    ]);
    expect(await storage.flush({ deadlineMs: 60_000 })).toBe(0);
    expect(await textOf(await storage.download('k'))).toBe('the last');
  });
}

function reads(promise: Promised): void {
  promise('a removed object is no longer found at once', async (storage) => {
    await storage.upload('k', 'one');
    expect(await storage.remove('k')).toMatchObject({ path: 'k', stored: 'primary' });
    expect(await storage.exists('k')).toBe(false);
    await expect(storage.download('k')).rejects.toMatchObject({ code: 'STORAGE_NOT_FOUND' });
    await storage.remove('never-there');
  });

  promise('info describes an object without reading its bytes', async (storage) => {
    const metadata = { color: 'blue' };
    await storage.upload('k', 'hello', { contentType: 'text/plain', metadata });
    const info = await storage.info('k');
    expect(info).toMatchObject({ path: 'k', from: expect.any(String), size: 5, metadata });
    expect(info.contentType).toMatch(/^text\/plain/);
    await expect(storage.info('never-there')).rejects.toMatchObject({ code: 'STORAGE_NOT_FOUND' });
  });

  promise('a list contains the uploaded objects, page by page', async (storage) => {
    for (const key of ['p/3', 'p/1', 'q', 'p/2']) await storage.upload(key, key);
    const first = await storage.list('p/', { limit: 2 });
    expect(first.objects.map(({ key }) => key)).toEqual(['p/1', 'p/2']);
    const { cursor = '' } = first;
    const second = await storage.list('p/', { limit: 2, cursor });
    expect(second.objects.map(({ key }) => key)).toEqual(['p/3']);
    expect(second.cursor).toBeUndefined();
  });
}

function refuses(promise: Promised): void {
  promise(
    'a key that cannot be stored unchanged is refused with the key in the error',
    async (storage) => {
      for (const key of ['', '../other', 'a//b', 'x/../y', 'tab\t', 's'.repeat(1_100)]) {
        const refusal = { code: 'STORAGE_INVALID_KEY', outcome: 'not-applied' };
        await expect(storage.upload(key, 'x')).rejects.toMatchObject(refusal);
        await expect(storage.download(key)).rejects.toMatchObject(refusal);
        await expect(storage.remove(key)).rejects.toMatchObject(refusal);
        await expect(storage.exists(key)).rejects.toMatchObject(refusal);
      }
      expect(storage.getStats()).toMatchObject({ accepted: 0, pendingWrites: 0 });
    },
  );

  promise('a closed storage rejects every call, and can be closed again', async (storage) => {
    await storage.upload('k', 'one');
    await storage.close();
    await storage.close();
    await storage[Symbol.asyncDispose]();
    await expect(storage.upload('k', 'x')).rejects.toMatchObject({ code: 'STORAGE_CLOSED' });
    await expect(storage.download('k')).rejects.toMatchObject({ code: 'STORAGE_CLOSED' });
    await expect(storage.list('')).rejects.toMatchObject({ code: 'STORAGE_CLOSED' });
  });
}

async function textOf(download: Download): Promise<string> {
  return Buffer.from(await download.bytes()).toString();
}
