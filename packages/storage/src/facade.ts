import { isHoldfastError } from '@holdfast/resilience';
import type { Body } from './body.ts';
import type { Storage } from './storage.ts';

/** An error as code written for supabase-js expects it: a value, with a code and a status. */
export interface FacadeError {
  readonly name: string;
  readonly message: string;
  readonly code: string;
  readonly statusCode: string;
  readonly status: number;
  readonly cause: unknown;
}

export type FacadeResult<T> =
  | { readonly data: T; readonly error: null }
  | { readonly data: null; readonly error: FacadeError };

export interface FacadeUploadOptions {
  contentType?: string;
  /** In seconds. */
  cacheControl?: string | number;
  /** Always true here: a write of this storage is the latest. */
  upsert?: boolean;
  metadata?: Readonly<Record<string, string>>;
}

/** Where an object is, beside what supabase-js says. */
export interface FacadeUploaded {
  readonly path: string;
  readonly fullPath: string;
  readonly id: string;
  readonly stored: 'primary' | 'queued' | 'local';
}

/** The calls of a bucket that code written for `supabase.storage.from(bucket)` makes on objects. */
export interface StorageBucket {
  upload(
    path: string,
    body: Body,
    options?: FacadeUploadOptions,
  ): Promise<FacadeResult<FacadeUploaded>>;
  update: StorageBucket['upload'];
  download(path: string): Promise<FacadeResult<Blob>>;
  remove(paths: readonly string[]): Promise<FacadeResult<{ name: string }[]>>;
  exists(path: string): Promise<FacadeResult<boolean>>;
  list(
    prefix?: string,
    options?: { limit?: number },
  ): Promise<FacadeResult<{ name: string; metadata: { size: number | undefined } }[]>>;
}

/**
 * The bucket of a storage in the shape of supabase-js, so that `supabase.storage` becomes
 * `storageClient({ bucket: storage })` and the calls stay as they are.
 */
export function storageClient(buckets: Readonly<Record<string, Storage>>): {
  from(bucket: string): StorageBucket;
} {
  return {
    from(name) {
      const storage = Object.hasOwn(buckets, name) ? buckets[name] : undefined;
      if (storage === undefined) throw new RangeError(`storageClient: no bucket ${name} was given`);
      return bucketOf(name, storage);
    },
  };
}

function bucketOf(name: string, storage: Storage): StorageBucket {
  const upload: StorageBucket['upload'] = (path, body, options = {}) =>
    asResult(async () => {
      const { contentType, cacheControl, metadata } = options;
      const { stored, operationId: id } = await storage.upload(path, body, {
        ...(contentType !== undefined && { contentType }),
        ...(cacheControl !== undefined && { maxAgeSeconds: Number(cacheControl) }),
        ...(metadata !== undefined && { metadata }),
      });
      return { path, fullPath: `${name}/${path}`, id, stored };
    });
  return {
    upload,
    update: upload,
    download: (path) =>
      asResult(async () => {
        const download = await storage.download(path);
        const bytes = Uint8Array.from(await download.bytes());
        return new Blob([bytes], { type: download.contentType });
      }),
    remove: (paths) =>
      asResult(async () => {
        const removed = await Promise.all(paths.map((path) => storage.remove(path)));
        return removed.map(({ path }) => ({ name: path }));
      }),
    exists: (path) => asResult(() => storage.exists(path)),
    list: (prefix = '', options = {}) =>
      asResult(async () => {
        const below = prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/`;
        const { objects } = await storage.list(below, options);
        return objects.map(({ key, size }) => ({
          name: key.slice(below.length),
          metadata: { size },
        }));
      }),
  };
}

const statuses: Readonly<Record<string, number>> = {
  STORAGE_NOT_FOUND: 404,
  STORAGE_INVALID_KEY: 400,
  STORAGE_INVALID_BODY: 400,
  STORAGE_BODY_NOT_REPEATABLE: 400,
  STORAGE_REFUSED: 400,
  INVALID_OPTION: 400,
  STORAGE_FULL: 507,
};

async function asResult<T>(work: () => Promise<T>): Promise<FacadeResult<T>> {
  try {
    return { data: await work(), error: null };
  } catch (cause) {
    if (!isHoldfastError(cause)) throw cause;
    const { name, message, code } = cause;
    const status = statuses[code] ?? 503;
    const error = { name, message, code, status, statusCode: String(status), cause };
    return { data: null, error };
  }
}
