import { afterEach, describe, expect, test } from '@jest/globals';
import { createMemoryFileSystem } from '@holdfast/journal/testing';
import type { S3ServerOptions } from '@holdfast/stage';
import { createStorage } from '../../src/create-storage.ts';
import type { S3BackendOptions } from '../../src/backends/s3/backend.ts';
import { bytesSource } from '../../src/object/body.ts';
import { putOptions } from './put-options.ts';
import { openS3 as open } from './servers.ts';

type S3Quirks = NonNullable<S3ServerOptions['quirks']>;

const MIB = 1_048_576;
const { signal } = new AbortController();
const opened: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of opened.splice(0).toReversed()) await close();
});

async function openS3(...options: Parameters<typeof open>): ReturnType<typeof open> {
  const server = await open(...options);
  opened.push(() => server.close());
  return server;
}

/** Servers as they are, and what they differ in. */
const servers: readonly (readonly [string, S3Quirks])[] = [
  ['S3', {}],
  ['If-Match matches without quotes only', { plainETags: true }],
  ['conditions answered 501', { absent: 'refused', match: 'refused' }],
  ['conditions answered 400', { absent: 'invalid', match: 'invalid' }],
  ['conditions ignored', { absent: 'ignored', match: 'ignored' }],
  ['If-Match alone answered 501', { match: 'refused' }],
  ['If-Match alone ignored', { match: 'ignored' }],
  ['If-None-Match alone answered 501', { absent: 'refused' }],
  ['checksums answered 501', { checksums: 'refused' }],
  ['checksums answered 400', { checksums: 'invalid' }],
  ['checksums ignored', { checksums: 'ignored' }],
  [
    'conditions and checksums answered 501',
    { absent: 'refused', match: 'refused', checksums: 'refused' },
  ],
  ['quotes and checksums', { plainETags: true, checksums: 'refused' }],
];

describe.each(servers)('%s', (_, quirks) => {
  test('a conflict is found, and a write on a condition that holds arrives', async () => {
    const { backend } = await openS3({ quirks });
    const put = (text: string, condition: 'none' | 'absent' | { version: string }) => {
      const bytes = Buffer.from(text);
      return backend.put('k', bytesSource(bytes), { ...putOptions(bytes), condition });
    };
    expect((await put('one', 'absent')).kind).toBe('ok');
    expect((await put('two', 'absent')).kind).toBe('conflict');
    const head = await backend.head('k', { signal });
    const version = head.kind === 'ok' ? (head.value.version ?? '') : '';
    expect((await put('three', { version })).kind).toBe('ok');
    expect((await put('four', { version })).kind).toBe('conflict');
    expect((await put('five', 'none')).kind).toBe('ok');
    const { objects = [] } = await listed(backend);
    expect(objects).toEqual(['k']);
  });

  test.each([
    ['a small object', 20],
    ['a large object', 6 * MIB],
  ])('every write of an outage is delivered: %s', async (_name, length) => {
    let isAway = false;
    const { backend } = await openS3(
      {
        quirks,
        faults: () => (isAway ? { kind: 'error', status: 503, code: 'SlowDown' } : undefined),
      },
      { largeFromBytes: 5 * MIB, partBytes: 5 * MIB },
    );
    const storage = createStorage({
      backends: [backend],
      journal: { directory: '/storage' },
      files: createMemoryFileSystem(),
      acknowledgeWithinMs: 0,
      circuitBreaker: { failureThreshold: 2, openDurationMs: 50, maxOpenDurationMs: 50 },
    });
    opened.push(() => storage.close({ deadlineMs: 0 }));
    const old = Buffer.from('of another writer');
    await backend.put('replaced', bytesSource(old), putOptions(old));
    isAway = true;
    for (const key of ['new', 'replaced']) await storage.upload(key, Buffer.alloc(length, key));
    isAway = false;
    expect(await storage.flush({ deadlineMs: 20_000 })).toBe(0);
    expect(storage.health().level).toBe('healthy');
    for (const key of ['new', 'replaced']) {
      const download = await storage.download(key);
      expect([download.from, (await download.bytes()).byteLength]).toEqual(['s3', length]);
    }
  });
});

test('what a server was found to refuse is not sent again', async () => {
  const seen: string[] = [];
  const { backend } = await openS3({
    quirks: { absent: 'refused', checksums: 'refused' },
    faults: ({ operation }) => void seen.push(operation),
  });
  const bytes = Buffer.from('x');
  const put = (key: string) =>
    backend.put(key, bytesSource(bytes), { ...putOptions(bytes), condition: 'absent' });
  await put('first');
  seen.length = 0;
  expect((await put('second')).kind).toBe('ok');
  expect(seen).toEqual(['HeadObject', 'PutObject']);
});

test('a server that implements none of it refuses the object, and is not down', async () => {
  const { backend } = await openS3({
    faults: ({ operation }) =>
      operation === 'PutObject'
        ? { kind: 'error', status: 501, code: 'NotImplemented' }
        : undefined,
  });
  const storage = createStorage({
    backends: [backend],
    journal: { directory: '/storage' },
    files: createMemoryFileSystem(),
  });
  opened.push(() => storage.close({ deadlineMs: 0 }));
  await expect(storage.upload('k', 'x')).rejects.toMatchObject({ code: 'STORAGE_REFUSED' });
  expect(storage.health().backends['s3']?.state).toBe('up');
});

/** The option that turns a part off; a server that refuses that part; the requests of a write on a condition. */
const off: readonly (readonly [Partial<S3BackendOptions>, S3Quirks, readonly string[]])[] = [
  [
    { conditionalWrites: false },
    { absent: 'refused', match: 'refused' },
    ['HeadObject', 'PutObject'],
  ],
  [{ quotedETags: false }, { plainETags: true }, ['PutObject']],
  [
    { checksums: false, conditionalWrites: false },
    { checksums: 'refused' },
    ['HeadObject', 'PutObject'],
  ],
];

test.each(off)('%j: no write is refused', async (option, quirks, sent) => {
  const seen: string[] = [];
  const faults = ({ operation }: { operation: string }) => void seen.push(operation);
  const { backend } = await openS3({ quirks, faults }, option);
  const bytes = Buffer.from('x');
  const options = putOptions(bytes);
  expect((await backend.put('k', bytesSource(bytes), options)).kind).toBe('ok');
  expect(seen).toEqual(['CreateBucket', 'PutObject']);
  const head = await backend.head('k', { signal });
  const version = head.kind === 'ok' ? (head.value.version ?? '') : '';
  seen.length = 0;
  const onVersion = { ...options, condition: { version } };
  expect((await backend.put('k', bytesSource(bytes), onVersion)).kind).toBe('ok');
  expect(seen).toEqual(sent);
});

async function listed(backend: Awaited<ReturnType<typeof openS3>>['backend']) {
  const page = await backend.list('', { signal, limit: 100 });
  return page.kind === 'ok' ? { objects: page.value.objects.map(({ key }) => key) } : {};
}
