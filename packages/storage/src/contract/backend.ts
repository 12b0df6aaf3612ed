import { createHash, randomUUID } from 'node:crypto';
import { expect, test } from '@jest/globals';
import type {
  BackendResult,
  BodySource,
  PutCondition,
  FailureKind,
  PutOptions,
  StorageBackend,
} from '../backend.ts';
import { bytesSource, collect } from '../object/body.ts';

/** A new, empty bucket for one test; `close` removes it. */
export interface BackendUnderTest {
  readonly backend: StorageBackend;
  readonly close: () => Promise<void>;
}

/** The promises of every backend, as Jest tests; call it once for each backend, inside its `describe`. */
export function honoursStorageBackendContract(open: () => Promise<BackendUnderTest>): void {
  const promise: Promised = (name, holds) => {
    // oxlint-disable-next-line jest/expect-expect, jest/valid-title -- the caller passes name and assertions
    test(name, async () => {
      const { backend, close } = await open();
      try {
        await holds(backend);
      } finally {
        await close();
      }
    });
  };
  readsBackWhatWasPut(promise);
  removesObjects(promise);
  checksConditions(promise);
  listsKeys(promise);
  storesKeysUnchanged(promise);
  endsAbortedCalls(promise);
}

type Promised = (name: string, holds: (backend: StorageBackend) => Promise<void>) => void;

function readsBackWhatWasPut(promise: Promised): void {
  promise(
    'an object is read back as it was put, with its type, metadata and stamp',
    async (backend) => {
      const bytes = Buffer.from('seen and kept');
      const options = putOptions(bytes, {
        metadata: { color: 'blue' },
        contentType: 'text/plain',
      });
      expect(await backend.put('a/b c.txt', bytesSource(bytes), options)).toMatchObject({
        kind: 'ok',
      });
      const { head, body } = value(await backend.get('a/b c.txt', { signal }));
      expect(textOf(await collect(body))).toBe('seen and kept');
      expect(head).toMatchObject({ size: bytes.length, metadata: { color: 'blue' } });
      expect(head.contentType).toMatch(/^text\/plain/);
      // A stamp may need a further request.
      const stamp = head.stamp ?? value(await backend.head('a/b c.txt', { signal })).stamp;
      expect(stamp).toEqual(options.stamp);
    },
  );

  promise('an empty object is an object', async (backend) => {
    await put(backend, 'empty', '');
    const { head, body } = value(await backend.get('empty', { signal }));
    expect(head.size).toBe(0);
    expect(textOf(await collect(body))).toBe('');
  });

  promise('a later put replaces the object and its version', async (backend) => {
    const first = await put(backend, 'k', 'one');
    const second = await put(backend, 'k', 'two');
    expect(await read(backend, 'k')).toBe('two');
    const { version } = value(await backend.head('k', { signal }));
    expect(version).not.toBe(first.version);
    if (second.version !== undefined) expect(version).toBe(second.version);
  });

  promise('a body that is only a stream is put completely', async (backend) => {
    const bytes = Buffer.alloc(300_000, 'stream ');
    const whole = bytesSource(bytes);
    const streamed: BodySource = {
      size: whole.size,
      async *open(from = 0, to = whole.size) {
        for (let at = from; at < to; at += 65_536) {
          yield* whole.open(at, Math.min(to, at + 65_536));
        }
      },
    };
    expect(await backend.put('stream', streamed, putOptions(bytes))).toMatchObject({ kind: 'ok' });
    expect((await readBytes(backend, 'stream')).equals(bytes)).toBe(true);
  });

  promise('a read can begin in the middle', async (backend) => {
    await put(backend, 'k', '0123456789');
    const { body } = value(await backend.get('k', { signal, from: 4 }));
    expect(textOf(await collect(body))).toBe('456789');
  });
}

function removesObjects(promise: Promised): void {
  promise('a missing object is notFound to get and head, and ok to remove', async (backend) => {
    expect((await backend.get('nothing', { signal })).kind).toBe('notFound');
    expect((await backend.head('nothing', { signal })).kind).toBe('notFound');
    expect((await backend.remove('nothing', { signal })).kind).toBe('ok');
  });

  promise('a removed object is no longer found, and can be put again', async (backend) => {
    await put(backend, 'k', 'one');
    expect((await backend.remove('k', { signal })).kind).toBe('ok');
    expect((await backend.head('k', { signal })).kind).toBe('notFound');
    await put(backend, 'k', 'two');
    expect(await read(backend, 'k')).toBe('two');
  });
}

function checksConditions(promise: Promised): void {
  promise('a put on condition of absence conflicts with an existing object', async (backend) => {
    await put(backend, 'k', 'one');
    const kind = await conditional(backend, 'k', 'two', 'absent');
    expect(kind).toBe('conflict');
    expect(await read(backend, 'k')).toBe('one');
    expect(await conditional(backend, 'new', 'three', 'absent')).toBe('ok');
  });

  promise('a put on condition of a version conflicts with any other', async (backend) => {
    await put(backend, 'k', 'one');
    const { version = '' } = value(await backend.head('k', { signal }));
    expect(await conditional(backend, 'k', 'two', { version })).toBe('ok');
    expect(await conditional(backend, 'k', 'three', { version })).toBe('conflict');
    expect(await read(backend, 'k')).toBe('two');
  });
}

function listsKeys(promise: Promised): void {
  promise('a list names the keys under a prefix in order, page by page', async (backend) => {
    for (const key of ['b/2', 'a/1', 'b/1', 'b/3', 'c']) await put(backend, key, key);
    const first = value(await backend.list('b/', { signal, limit: 2 }));
    expect(first.objects.map(({ key }) => key)).toEqual(['b/1', 'b/2']);
    const { cursor = '' } = first;
    const second = value(await backend.list('b/', { signal, limit: 2, cursor }));
    expect(second.objects.map(({ key }) => key)).toEqual(['b/3']);
    expect(second.cursor).toBeUndefined();
    const all = value(await backend.list('', { signal, limit: 100 }));
    expect(all.objects.map(({ key }) => key)).toEqual(['a/1', 'b/1', 'b/2', 'b/3', 'c']);
  });
}

function storesKeysUnchanged(promise: Promised): void {
  promise(
    'every permitted key is stored byte for byte, separate from the others',
    async (backend) => {
      const keys = awkwardKeys.filter((key) => backend.refuseKey(key) === undefined);
      for (const key of keys) await put(backend, key, `at ${key}`);
      for (const key of keys) expect(await read(backend, key)).toBe(`at ${key}`);
      const { objects } = value(await backend.list('', { signal, limit: 1_000 }));
      expect(objects.map(({ key }) => key).toSorted()).toEqual(keys.toSorted());
    },
  );

  promise('a key that could be rewritten is refused before anything is sent', async (backend) => {
    for (const key of dangerousKeys) expect(backend.refuseKey(key)).toEqual(expect.any(String));
    for (const key of ['../other/secret', 'x/../y', 'a//b', '']) {
      const bytes = Buffer.from('x');
      const result = await backend.put(key, bytesSource(bytes), putOptions(bytes));
      expect(result.kind).toBe('invalid');
      expect((await backend.get(key, { signal })).kind).toBe('invalid');
      expect((await backend.head(key, { signal })).kind).toBe('invalid');
      expect((await backend.remove(key, { signal })).kind).toBe('invalid');
    }
    expect(value(await backend.list('', { signal, limit: 10 })).objects).toEqual([]);
  });
}

function endsAbortedCalls(promise: Promised): void {
  promise('an aborted call ends with a result, not with an error', async (backend) => {
    const bytes = Buffer.from('x');
    const aborted = AbortSignal.abort(new Error('enough'));
    const kinds = await Promise.all([
      backend.put('k', bytesSource(bytes), { ...putOptions(bytes), signal: aborted }),
      backend.get('k', { signal: aborted }),
      backend.head('k', { signal: aborted }),
      backend.remove('k', { signal: aborted }),
      backend.list('', { signal: aborted, limit: 1 }),
    ]);
    for (const { kind } of kinds) expect(['transient', 'unknown']).toContain(kind);
    expect((await backend.head('k', { signal })).kind).toBe('notFound');
  });
}

const awkwardKeys = [
  'plain',
  'Plain',
  'plain/below',
  ' spaces around ',
  'quo\'te"double',
  'a?b',
  'a#b',
  'a%41',
  'a&b=c+d',
  'semi;colon:and,comma',
  'ünïcödé/鍵',
  '!-.*()@$',
  'con',
  `${'s'.repeat(200)}/long`,
];

const dangerousKeys = [
  '',
  '/',
  '/leading',
  'trailing/',
  'a//b',
  '.',
  '..',
  '../other/secret',
  'x/../y',
  'x/./y',
  '%2e%2e/secret',
  'x/%252e%252e/y',
  'tab\there',
  'nul\0',
  'back\\slash',
  'lone\ud800',
  's'.repeat(256),
  `${'s/'.repeat(600)}e`,
];

const { signal } = new AbortController();

function putOptions(
  bytes: Uint8Array,
  given: {
    metadata?: Record<string, string>;
    contentType?: string;
    condition?: PutCondition;
  } = {},
): PutOptions {
  return {
    contentType: 'application/octet-stream',
    maxAgeSeconds: 60,
    metadata: {},
    condition: 'none',
    signal,
    stamp: {
      operationId: randomUUID(),
      generation: 1,
      sha256: createHash('sha256').update(bytes).digest('hex'),
    },
    ...given,
  };
}

async function put(
  backend: StorageBackend,
  key: string,
  text: string,
): Promise<{ version?: string }> {
  const bytes = Buffer.from(text);
  return value(await backend.put(key, bytesSource(bytes), putOptions(bytes)));
}

async function conditional(
  backend: StorageBackend,
  key: string,
  text: string,
  condition: PutCondition,
): Promise<'ok' | FailureKind> {
  const bytes = Buffer.from(text);
  const result = await backend.put(key, bytesSource(bytes), putOptions(bytes, { condition }));
  return result.kind;
}

async function readBytes(backend: StorageBackend, key: string): Promise<Buffer> {
  const { body } = value(await backend.get(key, { signal }));
  return Buffer.from(await collect(body));
}

async function read(backend: StorageBackend, key: string): Promise<string> {
  return textOf(await readBytes(backend, key));
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString();
}

function value<T>(result: BackendResult<T>): T {
  if (result.kind === 'ok') return result.value;
  throw new Error(`expected ok, got ${result.kind}: ${result.message}`, { cause: result.cause });
}
