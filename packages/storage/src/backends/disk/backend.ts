import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { type FileSystem, nodeFileSystem } from '@holdfast/journal';
import {
  type Clock,
  objectWith,
  KeyedMutex,
  parseOptions,
  systemClock,
  string,
} from '@holdfast/foundation';
import { readFileRange, writeAtomically } from '../../files/atomic-file.ts';
import {
  type BackendResult,
  type BodySource,
  type ObjectPage,
  type ListedObject,
  type ObjectHead,
  type PutOptions,
  type StorageBackend,
  fail,
  ok,
} from '../../backend.ts';
import { safeFileName } from '../../files/safe-file-name.ts';
import { cacheControlOf } from '../../object/cache-control.ts';
import { anyKeys, compareKeys, keyFailure, refuseKey } from '../../object/key.ts';
import { type Sidecar, parseSidecar } from './sidecar.ts';
import { classifyDiskError } from './errors.ts';
import { removeOrphans } from './orphans.ts';
import { pageOf } from '../page.ts';

/** Options of `diskBackend`. */
export interface DiskBackendOptions {
  /** An existing directory, or one whose parent exists. */
  directory: string;
  /** Separates buckets in one directory. Default `default`. */
  bucket?: string;
  /** Default `disk`. */
  name?: string;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
  /** The file system. Default: that of Node. */
  files?: FileSystem;
}

const shape = {
  directory: string({ maxLength: 4_000 }),
  bucket: string({ maxLength: 200, default: 'default' }),
  name: string({ maxLength: 100, default: 'disk' }),
  clock: objectWith<Clock>(['epochMs'], systemClock),
  files: objectWith<FileSystem>(['open', 'rename', 'syncDirectory'], nodeFileSystem),
};

/**
 * Objects as files: `<hash>.<operation>.body`, and the sidecar `<hash>.json` that names key and body. The
 * sidecar is replaced by a rename, so that a reader sees the old object or the new one, complete, at whatever
 * moment the process dies.
 * @throws InvalidOptionError
 */
export function diskBackend(options: DiskBackendOptions): StorageBackend {
  return new DiskBackend(parseOptions('diskBackend', shape, options));
}

class DiskBackend implements StorageBackend {
  readonly largeFromBytes: number = Number.MAX_SAFE_INTEGER;
  readonly name: string;
  readonly bucket: string;
  readonly directory: string;
  readonly #files: FileSystem;
  readonly #clock: Clock;
  readonly #turns = new KeyedMutex();
  #swept: Promise<void> | undefined;

  constructor({ name, bucket, directory, files, clock }: Required<DiskBackendOptions>) {
    this.name = name;
    this.bucket = bucket;
    this.directory = directory;
    this.#files = files;
    this.#clock = clock;
  }

  refuseKey(key: string): string | undefined {
    return refuseKey(key, anyKeys);
  }

  put(
    key: string,
    body: BodySource,
    options: PutOptions,
  ): Promise<BackendResult<{ version: string }>> {
    return this.#turns.run(key, () =>
      this.#attemptFor(key, options.signal, async () => {
        const { condition } = options;
        const { found, name } = await this.#find(key);
        if (condition === 'absent' && found !== undefined) return fail('conflict', 'it exists');
        if (typeof condition === 'object' && found?.version !== condition.version) {
          return fail('conflict', 'it has another version');
        }
        await this.#makeDirectory();
        // Once per process; a folder in which it fails can still be written to.
        this.#swept ??= removeOrphans(this.#files, this.directory, this.#clock.epochMs()).catch(
          () => undefined,
        );
        await this.#swept;
        return this.#replace(key, name, found, body, options);
      }),
    );
  }

  get(
    key: string,
    { signal, from = 0, version }: { signal: AbortSignal; from?: number; version?: string },
  ): ReturnType<StorageBackend['get']> {
    return this.#attemptFor(key, signal, async () => {
      const { found } = await this.#find(key);
      if (found === undefined) return fail('notFound', 'no such object');
      if (version !== undefined && version !== found.version) {
        return fail('conflict', 'it has another version');
      }
      const path = join(this.directory, found.body);
      if ((await this.#files.status(path))?.bytes !== found.size) {
        return fail('transient', 'its file is being replaced, or is damaged');
      }
      return ok({ head: headOf(found), body: readFileRange(this.#files, path, from, found.size) });
    });
  }

  head(key: string, { signal }: { signal: AbortSignal }): Promise<BackendResult<ObjectHead>> {
    return this.#attemptFor(key, signal, async () => {
      const { found } = await this.#find(key);
      return found === undefined ? fail('notFound', 'no such object') : ok(headOf(found));
    });
  }

  remove(key: string, { signal }: { signal: AbortSignal }): Promise<BackendResult<undefined>> {
    return this.#turns.run(key, () =>
      this.#attemptFor(key, signal, async () => {
        const { found, name } = await this.#find(key);
        if (found === undefined) return ok(undefined);
        await this.#files.remove(join(this.directory, `${name}.json`));
        await this.#files.syncDirectory(this.directory);
        await this.#files.remove(join(this.directory, found.body));
        return ok(undefined);
      }),
    );
  }

  list(
    prefix: string,
    { signal, limit, cursor }: { signal: AbortSignal; limit: number; cursor?: string },
  ): Promise<BackendResult<ObjectPage>> {
    return this.#attempt(prefix, signal, async () => {
      const objects: ListedObject[] = [];
      await this.#makeDirectory();
      for (const name of await this.#files.list(this.directory)) {
        signal.throwIfAborted();
        if (!/^[\da-f]{64}\.json$/.test(name)) continue;
        const found = await this.#read(name);
        if (found?.bucket !== this.bucket || !found.key.startsWith(prefix)) continue;
        if (cursor !== undefined && compareKeys(found.key, cursor) <= 0) continue;
        const { metadata: _metadata, stamp: _stamp, version: _version, ...listed } = headOf(found);
        objects.push(listed);
      }
      return ok(pageOf(objects, limit));
    });
  }

  /** Like `#attempt`, but fails for a key that cannot be stored. */
  async #attemptFor<T>(
    key: string,
    signal: AbortSignal,
    act: () => Promise<BackendResult<T>>,
  ): Promise<BackendResult<T>> {
    return keyFailure(key, anyKeys) ?? this.#attempt(key, signal, act);
  }

  async #attempt<T>(
    key: string,
    signal: AbortSignal,
    act: () => Promise<BackendResult<T>>,
  ): Promise<BackendResult<T>> {
    if (signal.aborted) return fail('transient', 'aborted before it began');
    try {
      return await act();
    } catch (error) {
      return signal.aborted
        ? fail('transient', 'aborted', { cause: error })
        : classifyDiskError(key, error);
    }
  }

  /** Writes body and sidecar, then deletes the body of the object before. */
  async #replace(
    key: string,
    name: string,
    before: Sidecar | undefined,
    body: BodySource,
    { contentType, maxAgeSeconds, metadata, stamp, signal }: PutOptions,
  ): Promise<BackendResult<{ version: string }>> {
    const bodyName = `${name}.${stamp.operationId}.body`;
    const hash = createHash('sha256');
    const chunks = hashed(openBody(body), hash, signal);
    const written = await this.#write(bodyName, chunks);
    if (written !== body.size || hash.digest('hex') !== stamp.sha256) {
      await this.#files.remove(join(this.directory, bodyName));
      return fail('transient', 'the body read is not the one announced');
    }
    const epochMs = this.#clock.epochMs();
    const sidecar: Sidecar = {
      key,
      bucket: this.bucket,
      size: body.size,
      version: stamp.operationId,
      contentType,
      cacheControl: cacheControlOf(maxAgeSeconds),
      metadata,
      stamp,
      createdEpochMs: before?.createdEpochMs ?? before?.lastModifiedEpochMs ?? epochMs,
      lastModifiedEpochMs: epochMs,
      body: bodyName,
    };
    await this.#write(`${name}.json`, [Buffer.from(JSON.stringify(sidecar))]);
    if (before !== undefined && before.body !== bodyName) {
      await this.#files.remove(join(this.directory, before.body));
    }
    return ok({ version: sidecar.version });
  }

  #write(name: string, chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<number> {
    const options = { temporary: `${name}.part`, syncs: true };
    return writeAtomically(this.#files, this.directory, name, chunks, options);
  }

  async #find(key: string): Promise<{ name: string; found: Sidecar | undefined }> {
    const name = safeFileName(this.bucket, key);
    const found = await this.#read(`${name}.json`);
    return { name, found: found?.key === key ? found : undefined };
  }

  async #read(name: string): Promise<Sidecar | undefined> {
    const bytes = await this.#files.readWhole(join(this.directory, name));
    return bytes === undefined ? undefined : parseSidecar(bytes);
  }

  async #makeDirectory(): Promise<void> {
    if (await this.#files.makeDirectory(this.directory)) {
      await this.#files.syncDirectory(join(this.directory, '..'));
    }
  }
}

async function* hashed(
  body: AsyncIterable<Uint8Array>,
  hash: ReturnType<typeof createHash>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) {
    signal.throwIfAborted();
    hash.update(chunk);
    yield chunk;
  }
}

function headOf({ body: _body, bucket: _bucket, ...head }: Sidecar): ObjectHead {
  return { ...head, etag: `"${head.stamp.sha256}"` };
}

/** Reuses the memory of a chunk for the next: each is written before the next is read. */
function openBody(body: BodySource): AsyncIterable<Uint8Array> {
  if (body.bytes !== undefined) return body.open();
  return body.open(0, body.size, true);
}
