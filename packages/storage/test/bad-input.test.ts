import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { expect, test } from '@jest/globals';
import { diskBackend } from '../src/backends/disk/backend.ts';
import type { Body } from '../src/object/body.ts';
import { createMemoryBackend } from '../src/backends/memory.ts';
import { s3Backend } from '../src/backends/s3/backend.ts';
import { supabaseBackend } from '../src/backends/supabase/backend.ts';
import { createStorage } from '../src/create-storage.ts';
import { storageClient } from '../src/supabase-compat/client.ts';
import { createMemoryFileSystem } from '@holdfast/journal/testing';
import { freshDirectory } from './directory.ts';
import { AWAY, openTestStorage, textAt } from './open-storage.ts';
import { fail } from '../src/backend.ts';

test('a body of an unsupported kind, and a stream that can be read only once, are refused', async () => {
  const { storage, primary } = await openTestStorage();
  const upload = (body: unknown): Promise<unknown> =>
    Reflect.apply(storage.upload.bind(storage), undefined, ['k', body]);
  for (const body of [undefined, null, 7, {}, true, Symbol('body')]) {
    await expect(upload(body)).rejects.toMatchObject({ code: 'STORAGE_INVALID_BODY' });
  }
  await expect(upload(new Blob(['x']).stream())).rejects.toMatchObject({
    code: 'STORAGE_BODY_NOT_REPEATABLE',
    outcome: 'not-applied',
  });
  await expect(upload(() => 7)).rejects.toMatchObject({ code: 'STORAGE_INVALID_BODY' });
  const numbers = async function* () {
    yield 7;
  };
  await expect(upload(numbers)).rejects.toMatchObject({ code: 'STORAGE_INVALID_BODY' });
  const failing = () => {
    throw new Error('no such file');
  };
  await expect(upload(failing)).rejects.toThrow('no such file');
  expect(primary.objects.size).toBe(0);
  expect(storage.getStats()).toMatchObject({ accepted: 0, pendingBytes: 0 });
  await storage.close();
});

test('a secret in the field of another option is shown nowhere', async () => {
  const { storage } = await openTestStorage();
  const secret = 'hunter2';
  const url = `https://me:${secret}@host.example/x`;
  const bucket = storageClient({ b: storage }).from('b');
  const calls: [string, () => unknown][] = [
    ['passwort', () => call(createStorage, { backends: [], passwort: secret })],
    [
      'journal.key',
      () =>
        call(createStorage, {
          backends: [createMemoryBackend()],
          journal: { directory: '/j', key: secret },
        }),
    ],
    ['secretAccessKey', () => call(s3Backend, { bucket: 'b', secretAccessKey: secret })],
    ['apikey', () => call(supabaseBackend, { url, bucket: 'b', apikey: secret })],
    ['token', () => call(diskBackend, { directory: '/d', token: { value: secret } })],
    [
      'authorization',
      () => call(storage.upload.bind(storage), 'k', 'x', { authorization: secret }),
    ],
    ['password', () => call(storage.list.bind(storage), '', { password: secret })],
    ['jwt', () => call(bucket.upload.bind(bucket), 'k', 'x', { jwt: secret })],
  ];
  for (const [field, each] of calls) {
    const error = await Promise.resolve()
      .then(each)
      .then((value) => Reflect.get(Object(value), 'error') ?? value)
      .catch((thrown: unknown) => thrown);
    const shown = inspect(error, { depth: 9 });
    expect([field, shown]).toEqual([field, expect.stringContaining(field)]);
    expect([field, shown]).not.toEqual([field, expect.stringContaining(secret)]);
  }
  await storage.close();
});

function call(target: (...given: never[]) => unknown, ...given: unknown[]): unknown {
  return Reflect.apply(target, undefined, given);
}

test('an invalid option is refused with its name and its permitted values', async () => {
  const { storage } = await openTestStorage();
  const upload = (options: unknown): Promise<unknown> =>
    Reflect.apply(storage.upload.bind(storage), undefined, ['k', 'x', options]);
  await expect(upload({ contentType: 'a\r\nb' })).rejects.toMatchObject({ field: 'contentType' });
  await expect(upload({ metadata: { 'hf-op': 'x' } })).rejects.toMatchObject({ field: 'metadata' });
  await expect(upload({ metadata: { Upper: 'x' } })).rejects.toMatchObject({ field: 'metadata' });
  await expect(upload({ upsert: true })).rejects.toMatchObject({ field: 'upsert' });
  await storage.close();
  const open = (options: object): unknown => {
    try {
      return Reflect.apply(createStorage, undefined, [
        { backends: [createMemoryBackend()], journal: { directory: '/j' }, ...options },
      ]);
    } catch (error) {
      return error;
    }
  };
  expect(open({ backends: [] })).toMatchObject({ field: 'backends' });
  expect(open({ backends: [createMemoryBackend(), createMemoryBackend()] })).toMatchObject({
    field: 'backends',
  });
  expect(open({ journal: {} })).toMatchObject({ field: 'journal.directory' });
  expect(open({ conflicts: 'maybe' })).toMatchObject({ field: 'conflicts' });
  expect(open({ retry: { initialDelayMs: 10, maxDelayMs: 5 } })).toMatchObject({
    field: 'retry.initialDelayMs',
  });
});

test('a directory that is not writable rejects the first call, and nothing is stored', async () => {
  const directory = await freshDirectory();
  await writeFile(join(directory, 'a-file'), '');
  const primary = createMemoryBackend();
  const storage = createStorage({
    backends: [primary],
    journal: { directory: join(directory, 'a-file') },
  });
  await expect(storage.upload('k', 'x')).rejects.toMatchObject({ code: 'JOURNAL_UNAVAILABLE' });
  await expect(storage.ready()).rejects.toMatchObject({ code: 'JOURNAL_UNAVAILABLE' });
  await storage.close();
  const forbidden = join(directory, 'forbidden');
  await mkdir(forbidden);
  await chmod(forbidden, 0o500);
  const missing = createStorage({
    backends: [primary],
    journal: { directory: join(directory, 'not', 'there') },
  });
  await expect(missing.ready()).rejects.toMatchObject({ code: 'JOURNAL_UNAVAILABLE' });
  await missing.close();
  expect(primary.objects.size).toBe(0);
});

test('an object over a limit is refused with the name of the limit, and leaves no byte', async () => {
  const { storage, files, primary } = await openTestStorage({
    maxObjectBytes: 1_000,
    inlineBytes: 10,
    journal: { directory: '/storage', maxBytes: 500 },
  });
  await expect(storage.upload('k', 'x'.repeat(1_001))).rejects.toMatchObject({
    code: 'STORAGE_FULL',
    limit: 'maxObjectBytes',
    retryable: false,
  });
  await expect(storage.upload('k', 'x'.repeat(501))).rejects.toMatchObject({
    code: 'STORAGE_FULL',
    limit: 'maxBytes',
    retryable: false,
  });
  const endless = async function* () {
    while (true) yield Buffer.alloc(100);
  };
  await expect(storage.upload('k', endless)).rejects.toMatchObject({
    code: 'STORAGE_FULL',
    limit: 'maxBytes',
  });
  expect(files.names().filter((name) => name.includes('.blob'))).toEqual([]);
  expect(storage.getStats()).toMatchObject({ pendingBytes: 0, pendingWrites: 0 });
  expect(primary.objects.size).toBe(0);
  await storage.close();
});

test('a full backlog refuses writes until it has drained, and keeps every accepted one', async () => {
  const { storage, clock, primary, mirror } = await openTestStorage({
    acknowledgeWithinMs: 0,
    journal: { directory: '/storage', maxPending: 3 },
  });
  primary.intercept = () => ({ before: AWAY });
  for (let write = 0; write < 3; write += 1) await storage.upload(`k${write}`, 'x');
  await expect(storage.upload('k3', 'x')).rejects.toMatchObject({
    code: 'STORAGE_FULL',
    limit: 'maxPending',
    retryable: true,
  });
  primary.intercept = () => undefined;
  await clock.settle(storage.flush({ deadlineMs: 60_000 }));
  await storage.upload('k3', 'x');
  await clock.settle(storage.flush({ deadlineMs: 60_000 }));
  expect([primary.objects.size, mirror.objects.size]).toEqual([4, 4]);
  await storage.close();
});

test('a full disk refuses writes, and keeps every accepted one', async () => {
  const files = createMemoryFileSystem();
  const { storage, clock, primary } = await openTestStorage(
    { acknowledgeWithinMs: 0, inlineBytes: 10 },
    { files },
  );
  primary.intercept = () => ({ before: AWAY });
  await storage.upload('kept', 'before');
  files.capacityBytes = [...files.names()].reduce(
    (sum, name) => sum + files.content(name).length,
    0,
  );
  await expect(storage.upload('k', 'x'.repeat(5_000))).rejects.toMatchObject({
    code: 'STORAGE_FULL',
    limit: 'disk',
    retryable: true,
  });
  primary.intercept = () => undefined;
  files.capacityBytes = Infinity;
  await storage.upload('k', 'x'.repeat(5_000));
  expect(await clock.settle(storage.flush({ deadlineMs: 600_000 }))).toBe(0);
  expect(textAt(primary, 'kept')).toBe('before');
  await storage.close();
});

test('a permanently refused write is reported, kept, and dropped on demand', async () => {
  const { storage, clock, primary } = await openTestStorage();
  primary.intercept = ({ kind, key }) =>
    kind === 'put' && key === 'bad' ? { before: fail('invalid', '413 EntityTooLarge') } : undefined;
  await expect(clock.settle(storage.upload('bad', 'x'))).rejects.toMatchObject({
    code: 'STORAGE_REFUSED',
  });
  const { operationId } = await storage.upload('bad', 'y', { acknowledgeWithinMs: 0 });
  await clock.settle(storage.flush({ deadlineMs: 60_000 }));
  expect(storage.pending()).toMatchObject([
    { path: 'bad', operationId, waitingFor: ['primary'], refused: { kind: 'invalid' } },
  ]);
  expect(storage.health().level).toBe('degraded');
  expect(await storage.discard(operationId)).toBe(true);
  expect(await storage.discard('unknown')).toBe(false);
  await clock.settle(storage.flush({ deadlineMs: 60_000 }));
  expect(storage.pending()).toEqual([]);
  await storage.close();
});

test('a write that the primary refuses at once is not sent to further backends', async () => {
  const { storage, clock, primary, mirror } = await openTestStorage();
  primary.intercept = ({ kind }) =>
    kind === 'put' ? { before: fail('invalid', '413 EntityTooLarge') } : undefined;
  mirror.intercept = () => ({ before: AWAY });
  await expect(clock.settle(storage.upload('k', 'x'))).rejects.toMatchObject({
    code: 'STORAGE_REFUSED',
  });
  mirror.intercept = () => undefined;
  expect(await clock.settle(storage.flush({ deadlineMs: 60_000 }))).toBe(0);
  expect(textAt(mirror, 'k')).toBeUndefined();
  expect(storage.pending()).toEqual([]);
  await storage.close();
});

test('an aborted upload rejects with its own reason and stores nothing', async () => {
  const { storage, files, primary } = await openTestStorage({ inlineBytes: 10 });
  const reason = new Error('enough');
  const aborted = { signal: AbortSignal.abort(reason) };
  await expect(storage.upload('k', 'x', aborted)).rejects.toBe(reason);
  await expect(storage.download('k', aborted)).rejects.toBe(reason);
  const controller = new AbortController();
  const body = async function* () {
    yield Buffer.alloc(1_000);
    controller.abort(reason);
    yield Buffer.alloc(1_000);
  };
  await expect(storage.upload('k', body, { signal: controller.signal })).rejects.toBe(reason);
  expect(files.names().filter((name) => name.includes('.blob'))).toEqual([]);
  expect(primary.objects.size).toBe(0);
  await storage.close();
});

test('an abort ends the wait for a primary that does not respond; the write stays accepted', async () => {
  const { storage, clock, primary } = await openTestStorage();
  let answer: () => void = () => undefined;
  primary.intercept = () => new Promise((resolve) => (answer = () => resolve(undefined)));
  const controller = new AbortController();
  const upload = storage.upload('k', 'x', { signal: controller.signal });
  await clock.advance(10);
  const reason = new Error('enough');
  controller.abort(reason);
  await expect(upload).rejects.toBe(reason);
  expect(storage.pending()).toHaveLength(1);
  answer();
  expect(await clock.settle(storage.flush({ deadlineMs: 60_000 }))).toBe(0);
  expect(textAt(primary, 'k')).toBe('x');
  await storage.close();
});

test.each(['/storage', '/storage/local', '/storage/./x/..', '/'])(
  'local copies in %s, with the journal in /storage, are refused',
  (directory) => {
    const options = { journal: { directory: '/storage' }, local: { directory } };
    expect(() => createStorage({ backends: [createMemoryBackend()], ...options })).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', field: 'local.directory' }),
    );
  },
);

test('every call without options works, and refuses what is no object of options by its field', async () => {
  const { storage, clock } = await openTestStorage({ local: { directory: '/storage-local' } });
  const calls: Record<string, readonly unknown[]> = {
    upload: ['k', 'x'],
    download: ['k'],
    exists: ['k'],
    info: ['k'],
    list: [''],
    copy: ['k', 'k'],
    move: ['k', 'k'],
    remove: ['k'],
    flush: [],
    close: [],
  };
  for (const [verb, given] of Object.entries(calls)) {
    const run = (...options: unknown[]): Promise<unknown> =>
      Promise.resolve(Reflect.apply(Reflect.get(storage, verb), storage, [...given, ...options]));
    for (const options of [
      null,
      7,
      'x',
      [],
      { unheardOf: 1 },
      { signal: 7 },
      { deadlineMs: '1' },
    ]) {
      await expect(run(options)).rejects.toMatchObject({ code: 'INVALID_OPTION' });
    }
    await clock.settle(run(undefined));
  }
});

test.each<[string, (buffer: ArrayBuffer) => Body]>([
  ['an ArrayBuffer', (buffer) => buffer],
  ['a view', (buffer) => new Uint8Array(buffer)],
])('%s that was transferred elsewhere is refused', async (_, bodyOf) => {
  const { storage } = await openTestStorage();
  const buffer = new ArrayBuffer(8);
  const body = bodyOf(buffer);
  structuredClone(buffer, { transfer: [buffer] });
  const refused = { code: 'STORAGE_INVALID_BODY', outcome: 'not-applied' };
  await expect(storage.upload('k', body)).rejects.toMatchObject(refused);
  expect(await storage.exists('k')).toBe(false);
  await storage.close();
});

test.each(['journal', 'local'] as const)(
  'a disk backend in the directory of %s is refused',
  (of) => {
    const options = { journal: { directory: '/storage' }, local: { directory: '/copies' } };
    for (const directory of [options[of].directory, `${options[of].directory}/bodies`]) {
      const backends = [createMemoryBackend(), diskBackend({ directory })];
      expect(() => createStorage({ backends, ...options })).toThrow(
        expect.objectContaining({ code: 'INVALID_OPTION', field: 'backends[1]' }),
      );
    }
  },
);
