import { EventEmitter, once } from 'node:events';
import { afterEach, describe, expect, test } from '@jest/globals';
import { CreateBucketCommand, PutBucketPolicyCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { nextEvent } from '@holdfast/foundation';
import { createMemoryFileSystem } from '@holdfast/journal/testing';
import { createS3Server, createSupabaseStorageServer } from '@holdfast/stage';
import { createClient } from '@supabase/supabase-js';
import type { StorageBackend } from '../../src/backend.ts';
import { s3Backend } from '../../src/backends/s3/backend.ts';
import { supabaseBackend } from '../../src/backends/supabase/backend.ts';
import { createStorage } from '../../src/create-storage.ts';
import type { Storage } from '../../src/storage.ts';
import { storageClient } from '../../src/supabase-compat/client.ts';
import { documentedBucketPolicy, documentedRowPolicies } from './documented-rights.ts';
import { BUCKET, s3Client } from './servers.ts';

const opened: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).toReversed()) await close();
});

const MIB = 1_048_576;
/** Of a body that is sent in parts. */
const large = { S3: 5 * MIB + 1, Supabase: 2_000 };
const ACCOUNT = { accessKeyId: 'restricted', secretAccessKey: 'secret-of-restricted' };

interface Restricted {
  /** A storage of a client with restricted rights; another process has another one. */
  open: () => Storage;
  /** Whether every request is answered as in an outage. */
  isAway: boolean;
  /** Another client, which may do everything, writes a key. */
  writeElsewhere: (key: string) => Promise<void>;
  /** The keys of the restricted client's requests. */
  readonly keys: Set<string>;
  /** Emits `refused` for each request that is answered as in an outage. */
  readonly outage: EventEmitter;
}

function openOn(backend: StorageBackend): Storage {
  const storage = createStorage({
    backends: [backend],
    journal: { directory: '/storage' },
    files: createMemoryFileSystem(),
    acknowledgeWithinMs: 10_000,
    lateWriteMs: 200,
    deniedProbeMs: 100,
    circuitBreaker: { failureThreshold: 2, openDurationMs: 50, maxOpenDurationMs: 50 },
  });
  opened.push(() => storage.close({ deadlineMs: 0 }));
  return storage;
}

async function onS3(without: readonly string[] = []): Promise<Restricted> {
  const keys = new Set<string>();
  const outage = new EventEmitter();
  const server = await createS3Server({
    accounts: [{ ...ACCOUNT }],
    faults({ key }) {
      keys.add(key);
      if (!restricted.isAway) return undefined;
      outage.emit('refused');
      return { kind: 'error', status: 503, code: 'SlowDown' };
    },
  });
  const owner = s3Client(server);
  const client = s3Client({ url: server.url, credentials: { ...ACCOUNT } });
  opened.push(async () => {
    owner.destroy();
    client.destroy();
    await server.close();
  });
  const restricted: Restricted = {
    open: () =>
      openOn(s3Backend({ client, bucket: BUCKET, largeFromBytes: 5 * MIB, partBytes: 5 * MIB })),
    isAway: false,
    async writeElsewhere(Key) {
      await owner.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body: 'theirs' }));
    },
    keys,
    outage,
  };
  await owner.send(new CreateBucketCommand({ Bucket: BUCKET }));
  const Policy = documentedBucketPolicy(ACCOUNT.accessKeyId, without);
  await owner.send(new PutBucketPolicyCommand({ Bucket: BUCKET, Policy }));
  keys.clear();
  return restricted;
}

type Rows = ReturnType<typeof documentedRowPolicies>;

async function onSupabase(policies: Rows = documentedRowPolicies('folder')): Promise<Restricted> {
  const keys = new Set<string>();
  const outage = new EventEmitter();
  const server = await createSupabaseStorageServer({
    policies,
    faults({ key }) {
      keys.add(key);
      if (!restricted.isAway) return undefined;
      outage.emit('refused');
      return { kind: 'error', status: 503, code: 'SlowDown' };
    },
  });
  opened.push(() => server.close());
  const options = { auth: { persistSession: false, autoRefreshToken: false } };
  const owner = createClient(server.url, server.serviceRoleKey, options);
  const client = createClient(server.url, server.signToken({ role: 'authenticated' }), options);
  const restricted: Restricted = {
    open: () => openOn(supabaseBackend({ client, bucket: BUCKET, largeFromBytes: 1_000 })),
    isAway: false,
    async writeElsewhere(key) {
      const { error } = await owner.storage.from(BUCKET).upload(key, 'theirs', { upsert: true });
      if (error !== null) throw error;
    },
    keys,
    outage,
  };
  const { error } = await owner.storage.createBucket(BUCKET);
  if (error !== null) throw error;
  keys.clear();
  return restricted;
}

/** The bytes of a write that waits for an outage. */
async function writeInOutage(
  on: Restricted,
  storage: Storage,
  key: string,
  body: string | Uint8Array,
): Promise<void> {
  on.isAway = true;
  const refused = once(on.outage, 'refused');
  await storage.upload(key, body, { acknowledgeWithinMs: 0 });
  await refused;
  on.isAway = false;
}

/**
 * Requests about the bucket have no key; the name of a resumable upload contains its bucket and key. The mark of removals is
 * outside, and dispensable.
 */
function isInFolder(key: string): boolean {
  const named = Buffer.from(key, 'base64url').toString();
  if ([key, named].some((each) => /(?:^|\/)\.holdfast\//.test(each))) return true;
  return key === '' || key.startsWith('uploads/') || named.startsWith(`${BUCKET}/uploads/`);
}

const denied = (right: string): unknown =>
  expect.objectContaining({
    code: 'STORAGE_DENIED',
    retryable: false,
    right: expect.stringContaining(right),
  });

const servers = { S3: () => onS3(), Supabase: () => onSupabase() };

describe.each(['S3', 'Supabase'] as const)('the documented policy is enough: %s', (name) => {
  test('every call, fresh and after an outage, small and large', async () => {
    const on = await servers[name]();
    const storage = on.open();
    for (const size of [10, large[name]]) {
      const key = `uploads/${size}`;
      const bytes = Buffer.alloc(size, 'x');
      expect((await storage.upload(key, bytes)).stored).toBe('primary');
      expect((await storage.upload(key, bytes)).stored).toBe('primary');
      expect(bytes.equals(await (await storage.download(key)).bytes())).toBe(true);
      expect((await storage.info(key)).size).toBe(size);
      await writeInOutage(on, storage, `uploads/new-${size}`, bytes);
      await writeInOutage(on, storage, key, Buffer.alloc(size, 'y'));
      expect(await storage.flush({ deadlineMs: 20_000 })).toBe(0);
      expect((await (await storage.download(key)).bytes())[0]).toBe('y'.charCodeAt(0));
      expect((await storage.remove(key)).stored).toBe('primary');
      expect(await storage.exists(key)).toBe(false);
      await expect(storage.download(key)).rejects.toMatchObject({ code: 'STORAGE_NOT_FOUND' });
    }
    await storage.move('uploads/new-10', 'uploads/moved');
    const { objects } = await storage.list('uploads/');
    expect(objects.map(({ key }) => key)).toEqual(['uploads/moved', `uploads/new-${large[name]}`]);
    expect(storage.health().level).toBe('healthy');
    // Nothing was asked, or left behind, outside of the folder.
    expect([...on.keys].filter((key) => !isInFolder(key))).toEqual([]);
  });

  test('a key outside of it is denied, and holds up no other', async () => {
    const on = await servers[name]();
    const storage = on.open();
    await storage.upload('other/k', 'x', { acknowledgeWithinMs: 50 });
    await storage.upload('uploads/k', 'x', { acknowledgeWithinMs: 0 });
    const { promise, resolve } = Promise.withResolvers<void>();
    storage.on('settled', ({ path }) => void (path === 'uploads/k' && resolve()));
    if (storage.pending().some(({ path }) => path === 'uploads/k')) await promise;
    expect(storage.pending().map(({ path }) => path)).toEqual(['other/k']);
    expect(storage.getStats().backends[name.toLowerCase()]?.failures).toMatchObject({
      transient: 0,
      unknown: 0,
    });
  });
});

describe('S3, without one right', () => {
  test.each([
    ['no read yet: denied, since it may exist', false, denied('s3:ListBucket')],
    ['after a read below the same folder: absent', true, false],
  ])('s3:ListBucket: 403 for an absent object, %s', async (_name, isRead, expected) => {
    const on = await onS3(['s3:ListBucket']);
    await on.writeElsewhere('uploads/theirs');
    const storage = on.open();
    if (isRead) await storage.download('uploads/theirs');
    const seen = await storage.exists('uploads/absent').catch((error: unknown) => error);
    expect(seen).toEqual(expected);
  });

  test('s3:ListBucket: what this process has written tells absent from denied', async () => {
    const on = await onS3(['s3:ListBucket']);
    const storage = on.open();
    await storage.upload('uploads/k', 'x');
    await storage.remove('uploads/k');
    expect(await storage.exists('uploads/k')).toBe(false);
    await expect(storage.list('uploads/')).rejects.toEqual(denied('s3:ListBucket'));
    await writeInOutage(on, storage, 'uploads/late', 'x');
    await writeInOutage(on, storage, 'uploads/large', Buffer.alloc(large.S3));
    expect(await storage.flush({ deadlineMs: 20_000 })).toBe(0);
    expect(storage.health().level).toBe('healthy');
    expect(await storage.exists('uploads/late')).toBe(true);
  });

  test('s3:GetObject: writes arrive, reads are denied, never absent', async () => {
    const on = await onS3(['s3:GetObject', 's3:ListBucket']);
    const storage = on.open();
    for (const size of [10, large.S3]) {
      expect((await storage.upload(`uploads/${size}`, Buffer.alloc(size))).stored).toBe('primary');
      await writeInOutage(on, storage, `uploads/late-${size}`, Buffer.alloc(size));
    }
    expect(await storage.flush({ deadlineMs: 20_000 })).toBe(0);
    await expect(storage.exists('uploads/10')).rejects.toEqual(denied('s3:GetObject'));
    await expect(storage.info('uploads/10')).rejects.toEqual(denied('s3:GetObject'));
    await expect(storage.download('uploads/10')).rejects.toEqual(denied('s3:GetObject'));
    expect((await storage.remove('uploads/10')).stored).toBe('primary');
    expect(storage.health().level).toBe('healthy');
  });

  test('s3:GetObject: a write that finds another object in its place waits alone', async () => {
    const on = await onS3(['s3:GetObject', 's3:ListBucket']);
    await on.writeElsewhere('uploads/taken');
    const storage = on.open();
    await writeInOutage(on, storage, 'uploads/taken', 'ours');
    const deniedCalls = () => storage.getStats().backends['s3']?.failures.denied ?? 0;
    while (deniedCalls() === 0) await storage.upload('uploads/other', 'x');
    expect(storage.health().backends['s3']?.state).not.toBe('denied');
    await writeInOutage(on, storage, 'uploads/free', 'ours');
    expect(await nextEvent(storage, 'settled')).toMatchObject({ path: 'uploads/free' });
    expect(storage.health().level).toBe('degraded');
    expect(storage.pending()).toMatchObject([
      { path: 'uploads/taken', denied: { right: expect.stringContaining('s3:GetObject') } },
    ]);
  });

  test.each([
    ['s3:PutObject', (storage: Storage) => storage.upload('uploads/k', 'x')],
    ['s3:DeleteObject', (storage: Storage) => storage.remove('uploads/k')],
  ])('%s: the write is kept, and health() names the right', async (right, write) => {
    const on = await onS3([right]);
    const storage = on.open();
    expect((await write(storage)).stored).toBe('local');
    const { state, lastError } = storage.health().backends['s3'] ?? {};
    expect([state, lastError]).toEqual(['denied', expect.stringContaining(right)]);
    expect(storage.pending()).toHaveLength(1);
  });

  test('s3:ListMultipartUploadParts, s3:AbortMultipartUpload: a large upload begins anew', async () => {
    const on = await onS3(['s3:ListMultipartUploadParts', 's3:AbortMultipartUpload']);
    const storage = on.open();
    const bytes = Buffer.alloc(11 * MIB, 'x');
    for (const key of ['uploads/k', 'uploads/k']) await writeInOutage(on, storage, key, bytes);
    expect(await storage.flush({ deadlineMs: 20_000 })).toBe(0);
    expect((await storage.info('uploads/k')).size).toBe(bytes.byteLength);
  });
});

describe('Supabase, without one right', () => {
  test('a drop box: INSERT alone, fresh and after an outage, small and large', async () => {
    const on = await onSupabase(documentedRowPolicies('drop box'));
    const storage = on.open();
    for (const size of [10, large.Supabase]) {
      const key = `uploads/${size}`;
      expect((await storage.upload(key, Buffer.alloc(size))).stored).toBe('primary');
      await writeInOutage(on, storage, `uploads/late-${size}`, Buffer.alloc(size));
      expect(await storage.flush({ deadlineMs: 20_000 })).toBe(0);
      await expect(storage.exists(key)).rejects.toEqual(denied('SELECT'));
      await expect(storage.info(key)).rejects.toEqual(denied('SELECT'));
      await expect(storage.download(key)).rejects.toEqual(denied('SELECT'));
    }
    await expect(storage.list('uploads/')).rejects.toEqual(denied('SELECT'));
    expect(storage.health().level).toBe('healthy');
    const bucket = storageClient({ [BUCKET]: storage }).from(BUCKET);
    expect((await bucket.upload('uploads/by-facade', 'x')).error).toBeNull();
    expect((await bucket.download('uploads/by-facade')).error).toMatchObject({ status: 403 });
  });

  test('a drop box: the first read of a process that has only written knows it too', async () => {
    const on = await onSupabase(documentedRowPolicies('drop box'));
    const storage = on.open();
    await storage.upload('uploads/k', 'x');
    await expect(storage.exists('uploads/k')).rejects.toEqual(denied('SELECT'));
    await on.open().upload('uploads/of another process', 'x');
    await expect(storage.exists('uploads/of another process')).rejects.toEqual(denied('SELECT'));
  });

  test.each([
    ['UPDATE', documentedRowPolicies('folder', ['update']), 'UPDATE'],
    ['SELECT', documentedRowPolicies('folder', ['select']), 'SELECT'],
  ])('%s: what exists is not replaced, which is denied by name', async (_name, policies, right) => {
    const on = await onSupabase(policies);
    await on.writeElsewhere('uploads/theirs');
    const storage = on.open();
    expect((await storage.upload('uploads/new', 'x')).stored).toBe('primary');
    const { stored } = await storage.upload('uploads/theirs', 'x');
    expect(stored).toBe('local');
    const { state, lastError } = storage.health().backends['supabase'] ?? {};
    expect([state, lastError]).toEqual(['denied', expect.stringContaining(right)]);
  });

  test.each([
    ['DELETE', documentedRowPolicies('folder', ['delete']), 'DELETE'],
    ['SELECT', documentedRowPolicies('folder', ['select']), 'SELECT and DELETE'],
  ])('%s: a removal is denied by name', async (_name, policies, right) => {
    const on = await onSupabase(policies);
    const storage = on.open();
    await storage.upload('uploads/k', 'x');
    expect((await storage.remove('uploads/k')).stored).toBe('local');
    expect(storage.health().backends['supabase']).toMatchObject({
      state: 'denied',
      lastError: expect.stringContaining(right),
    });
  });

  test('INSERT: the write is kept, and health() names the right', async () => {
    const on = await onSupabase(documentedRowPolicies('folder', ['insert']));
    const storage = on.open();
    await storage.upload('uploads/k', 'x');
    expect(storage.health().backends['supabase']).toMatchObject({
      state: 'denied',
      lastError: expect.stringContaining('INSERT'),
    });
  });
});

test.each(['S3', 'Supabase'] as const)('a missing bucket is denied: %s', async (name) => {
  const server = name === 'S3' ? await createS3Server() : await createSupabaseStorageServer();
  opened.push(() => server.close());
  const backend =
    'credentials' in server
      ? s3Backend({ client: s3Client(server), bucket: 'none' })
      : supabaseBackend({ url: server.url, key: server.serviceRoleKey, bucket: 'none' });
  const storage = openOn(backend);
  await expect(storage.exists('k')).rejects.toMatchObject({ code: 'STORAGE_DENIED' });
  await expect(storage.download('k')).rejects.toMatchObject({ code: 'STORAGE_DENIED' });
  expect((await storage.upload('k', 'x')).fallback).toBe(true);
  const { state, lastError } = storage.health().backends[name.toLowerCase()] ?? {};
  expect([state, lastError]).toEqual(['denied', expect.stringContaining('NoSuchBucket')]);
});
