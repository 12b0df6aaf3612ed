import { randomBytes } from 'node:crypto';
import { afterEach, expect, test } from '@jest/globals';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { createFakeClock } from '@holdfast/foundation/testing';
import { createMemoryFileSystem } from '@holdfast/journal/testing';
import { createS3Server } from '@holdfast/stage';
import { s3Backend } from '../../src/backends/s3/backend.ts';
import { createStorage } from '../../src/create-storage.ts';
import { parseBody } from '../../src/object/body.ts';
import { BUCKET, openS3, openSupabase } from '../backends/servers.ts';
import { AWAY, openTestStorage, textAt, writeElsewhere } from '../open-storage.ts';

const opened: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).toReversed()) await close();
});

const MIB = 1_048_576;

/** A storage whose primary gives its bodies in chunks of one byte, and how many of them are open. */
async function openChunked() {
  const chunked = await openTestStorage({ verifyWholeBytes: 2, unreadBodyTimeoutMs: 1_000 });
  const { storage, clock, primary } = chunked;
  await storage.upload('k', 'abcdefghijklmnopqrstuvwxyz');
  await clock.settle(storage.flush({ deadlineMs: 60_000 }));
  const open = { bodies: 0, requests: 0 };
  const get = primary.get.bind(primary);
  primary.get = async (key, options) => {
    const got = await get(key, options);
    if (got.kind !== 'ok') return got;
    open.bodies += 1;
    open.requests += 1;
    const bytes = Buffer.from((textAt(primary, key) ?? '').slice(options.from ?? 0));
    const chunks = bytes.values();
    let isOpen = true;
    const close = (): void => {
      if (isOpen) open.bodies -= 1;
      isOpen = false;
    };
    const body: AsyncIterableIterator<Uint8Array> = {
      [Symbol.asyncIterator]: () => body,
      async next() {
        const { value, done } = chunks.next();
        if (done === true) close();
        return done === true ? { done, value: undefined } : { value: Buffer.of(value) };
      },
      async return() {
        close();
        return { done: true, value: undefined };
      },
    };
    return { kind: 'ok', value: { head: got.value.head, body } };
  };
  return { ...chunked, open };
}

test('a body that nobody reads is released, and can still be read', async () => {
  const { storage, clock, open } = await openChunked();
  const download = await storage.download('k');
  await clock.advance(999);
  expect(open.bodies).toBe(1);
  await clock.advance(1);
  expect(open.bodies).toBe(0);
  expect(Buffer.from(await download.bytes()).toString()).toBe('abcdefghijklmnopqrstuvwxyz');
  expect(open).toEqual({ bodies: 0, requests: 2 });
  await storage.close();
});

test('a reader that stops for long after every chunk reads the whole body', async () => {
  const { storage, clock, open } = await openChunked();
  const { body } = await storage.download('k');
  let text = '';
  for await (const chunk of body) {
    text += Buffer.from(chunk).toString();
    await clock.advance(1_500);
    expect(open.bodies).toBe(0);
  }
  expect([text, open.requests]).toEqual(['abcdefghijklmnopqrstuvwxyz', 27]);
  await storage.close();
});

test('a body that is read without a stop is never released, and one that is left is', async () => {
  const { storage, clock, open } = await openChunked();
  const { body } = await storage.download('k');
  for await (const chunk of body) {
    expect(chunk.byteLength).toBe(1);
    await clock.advance(900);
  }
  expect(open.requests).toBe(1);
  for await (const chunk of (await storage.download('k')).body) {
    if (chunk.byteLength === 1) break;
  }
  expect(open.bodies).toBe(0);
  await storage.close();
});

test('what was released is not continued with the bytes of another object', async () => {
  const { storage, clock, primary } = await openChunked();
  const { body } = await storage.download('k');
  const reader = body[Symbol.asyncIterator]();
  await reader.next();
  await clock.advance(1_000);
  writeElsewhere(primary, 'k', 'another object of the same key');
  await expect(reader.next()).rejects.toMatchObject({ code: 'STORAGE_BODY_INTEGRITY' });
  await storage.close();
});

/** A storage on an S3 whose client has two connections. */
async function openNarrowS3() {
  const server = await createS3Server();
  const { url: endpoint, credentials } = server;
  const requestHandler = { httpAgent: { keepAlive: true, maxSockets: 2 } };
  const shared = { endpoint, credentials, region: 'us-east-1', forcePathStyle: true };
  const client = new S3Client({ ...shared, requestHandler });
  await client.send(new CreateBucketCommand({ Bucket: BUCKET }));
  opened.push(async () => {
    client.destroy();
    await server.close();
  });
  return s3Backend({ client, bucket: BUCKET });
}

test('more unread bodies than connections stop neither reads nor writes', async () => {
  const storage = createStorage({
    backends: [await openNarrowS3()],
    journal: { directory: '/storage' },
    files: createMemoryFileSystem(),
    verifyWholeBytes: 1_000,
    unreadBodyTimeoutMs: 50,
    acknowledgeWithinMs: 10_000,
  });
  opened.push(() => storage.close({ deadlineMs: 0 }));
  const bytes = Buffer.alloc(MIB, 'x');
  expect((await storage.upload('k', bytes)).stored).toBe('primary');
  const unread = [];
  for (let read = 0; read < 6; read += 1) unread.push(await storage.download('k'));
  expect((await storage.upload('other', 'x')).stored).toBe('primary');
  expect(storage.health().level).toBe('healthy');
  for (const download of unread) {
    expect(bytes.equals(await download.bytes())).toBe(true);
  }
});

const servers = { S3: openS3, Supabase: openSupabase };

test.each(['S3', 'Supabase'] as const)(
  'an unread body whose request times out ends nothing else: %s',
  async (name) => {
    const clock = createFakeClock();
    const { backend, close } = await servers[name]({}, { clock });
    opened.push(close);
    const storage = createStorage({
      backends: [backend],
      journal: { directory: '/storage' },
      files: createMemoryFileSystem(),
      verifyWholeBytes: 1_000,
      unreadBodyTimeoutMs: 60_000,
    });
    opened.push(() => storage.close({ deadlineMs: 0 }));
    const bytes = Buffer.alloc(5 * MIB, 'x');
    await storage.upload('k', bytes);
    expect(await storage.flush({ deadlineMs: 20_000 })).toBe(0);
    const unread = await storage.download('k');
    // Its stream fails while nobody listens.
    await clock.advance(15_000);
    await nextTurn();
    expect(bytes.equals(await unread.bytes())).toBe(true);
  },
);

/** A storage with a body that waits in a file, and how many of its files are open. */
async function openWaiting() {
  const memory = createMemoryFileSystem();
  const open = { files: 0 };
  const files = Object.assign(Object.create(memory), {
    async open(path: string, mode: 'read' | 'write' | 'create') {
      const file = await memory.open(path, mode);
      if (mode !== 'read' || !path.endsWith('.blob')) return file;
      open.files += 1;
      return { ...file, close: () => file.close().finally(() => (open.files -= 1)) };
    },
  });
  const bytes = randomBytes(3 * 262_144);
  const waiting = await openTestStorage(
    { acknowledgeWithinMs: 0, unreadBodyTimeoutMs: 1_000 },
    { files },
  );
  const { primary, mirror, storage, clock } = waiting;
  primary.intercept = mirror.intercept = () => ({ before: AWAY });
  await clock.settle(storage.upload('k', bytes));
  const deliver = async (): Promise<void> => {
    primary.intercept = mirror.intercept = () => undefined;
    expect(await clock.settle(storage.flush({ deadlineMs: 600_000 }))).toBe(0);
    await clock.advance(60_000);
  };
  return { ...waiting, bytes, open, deliver };
}

test.each(['while it waits', 'after it was delivered'])(
  'a waiting body that is left amid its bytes keeps no file open, and can be read on: %s',
  async (when) => {
    const { storage, clock, bytes, open, deliver } = await openWaiting();
    const download = await clock.settle(storage.download('k'));
    expect(download.from).toBe('pending');
    const reader = download.body[Symbol.asyncIterator]();
    const read: Uint8Array[] = [];
    const readOn = async (): Promise<boolean> => {
      const { done, value } = await clock.settle(reader.next());
      if (done !== true) read.push(value);
      return done !== true;
    };
    await readOn();
    expect(open.files).toBe(1);
    await clock.advance(1_000);
    expect(open.files).toBe(0);
    if (when !== 'while it waits') await deliver();
    while (await readOn());
    expect(bytes.equals(Buffer.concat(read))).toBe(true);
    expect(open.files).toBe(0);
    await deliver();
    await storage.close();
  },
);

test('a waiting body that was left, and whose key another write has meanwhile, is not continued with its bytes', async () => {
  const { storage, clock, open, deliver } = await openWaiting();
  const { body } = await clock.settle(storage.download('k'));
  const reader = body[Symbol.asyncIterator]();
  await clock.settle(reader.next());
  await clock.advance(1_000);
  await clock.settle(storage.upload('k', randomBytes(4 * 262_144)));
  await deliver();
  const rest = async (): Promise<void> => {
    while ((await clock.settle(reader.next())).done !== true);
  };
  await expect(rest()).rejects.toMatchObject({ code: 'STORAGE_BODY_INTEGRITY' });
  expect(open.files).toBe(0);
  await storage.close();
});

test('a Blob is read in slices, one at a time', async () => {
  const slices: number[] = [];
  class WatchedBlob extends Blob {
    override slice(from?: number, to?: number): Blob {
      const part = super.slice(from, to);
      slices.push(part.size);
      return part;
    }
    override stream(): never {
      throw new Error('it would be read ahead');
    }
  }
  const bytes = Buffer.alloc(MIB + 3, 'abc');
  const body = parseBody('k', new WatchedBlob([bytes]));
  const read: Uint8Array[] = [];
  for await (const chunk of 'open' in body ? await body.open() : []) {
    read.push(chunk);
    expect(slices).toHaveLength(read.length);
  }
  expect(slices).toEqual([262_144, 262_144, 262_144, 262_144, 3]);
  expect(bytes.equals(Buffer.concat(read))).toBe(true);
});
