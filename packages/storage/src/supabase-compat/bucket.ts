import type { Download, Storage } from '../storage.ts';
import { type BucketBody, describeBody } from './bodies.ts';
import { inCallOrder, placeAt } from './call-order.ts';
import { type BucketDownload, lazyDownload } from './download.ts';
import {
  type BucketEntry,
  type BucketListOptions,
  type BucketListV2Options,
  type BucketPage,
  isoTime,
  listFolder,
  listPage,
} from './listing.ts';
import { keyOf, readOptions, secondsOf } from './options.ts';
import { checkBeforeWrite, forgetBucket } from './preconditions.ts';
import { type BucketRemoved, removeObjects } from './removal.ts';
import { type BucketResult, NotSupportedError, type ResultOptions, asResult } from './result.ts';
import { type BucketUrls, ServerCalls } from './server-calls.ts';
import { type BucketCopyOptions, type Transfer, copyObject, moveObject } from './transfer.ts';

/** The options of supabase-js for `upload` and `update`. */
export interface BucketUploadOptions {
  /** Default: the type of a Blob or a form's file, else `text/plain;charset=UTF-8`. Here it replaces that of a Blob. */
  contentType?: string;
  /** In seconds. Default 3 600. */
  cacheControl?: string | number;
  /**
   * Whether it may replace an existing object. Default false, as with supabase-js: the path is checked first;
   * while no backend responds, the write is accepted all the same.
   */
  upsert?: boolean;
  /** The caller's own metadata: up to 32 pairs. Default: none. */
  metadata?: Readonly<Record<string, string>>;
  /** Has no effect: streams need no permission here. */
  duplex?: string;
}

/** The result of supabase-js, and where the object is stored. */
export interface BucketUploaded {
  /** The key: the path without slashes at its ends, and with one slash where it had several. */
  readonly path: string;
  readonly fullPath: string;
  /** The operation id of the write. */
  readonly id: string;
  readonly stored: 'primary' | 'queued' | 'local';
}

/** What `info` of supabase-js returns of an object. */
export interface BucketObjectInfo {
  readonly id: string;
  readonly version: string;
  readonly name: string;
  readonly bucketId: string;
  readonly size: number;
  readonly contentType: string | undefined;
  /** Absent for a write that waits. */
  readonly etag: string | undefined;
  readonly cacheControl: string | undefined;
  /** When the object was created, or changed last where the backend does not tell the first. */
  readonly createdAt: string | undefined;
  readonly lastModified: string | undefined;
  readonly metadata: Readonly<Record<string, string>>;
}

/** The options of supabase-js for `download`. */
export interface BucketDownloadOptions {
  /** An image transformation: made by the server of `urls`, past the storage. */
  transform?: object;
  /** Appended to the request of a transformed image, so that caches pass it on. Default: nothing. */
  cacheNonce?: string;
}

/** How supabase-js would fetch. */
export interface BucketFetchParameters {
  signal?: AbortSignal;
  cache?: 'default' | 'no-store' | 'reload' | 'no-cache';
}

/** The calls on objects of `supabase.storage.from(bucket)`. An option that is not supported is an error, 501. */
export interface StorageBucket {
  /** Has this bucket throw its errors instead of returning them. */
  throwOnError(): this;
  /** @throws NotSupportedError */
  setHeader(name: string, value: string): never;
  upload(
    path: string,
    body: BucketBody,
    options?: BucketUploadOptions,
  ): Promise<BucketResult<BucketUploaded>>;
  /** Replaces an object or creates it, as with supabase-js. */
  update: StorageBucket['upload'];
  /** Read as a Blob when it is awaited, and after `asStream()` as a stream. */
  download(
    path: string,
    options?: BucketDownloadOptions,
    parameters?: BucketFetchParameters,
  ): BucketDownload;
  /** Its result contains the objects that existed; while that cannot be known, all. */
  remove(paths: readonly string[]): Promise<BucketResult<BucketRemoved[]>>;
  /** The bytes pass through this process; both objects exist until the old one is removed. */
  move(
    fromPath: string,
    toPath: string,
    options?: Pick<BucketCopyOptions, 'destinationBucket' | 'upsert'>,
  ): Promise<BucketResult<{ message: string }>>;
  /** The bytes pass through this process. */
  copy(
    fromPath: string,
    toPath: string,
    options?: BucketCopyOptions,
  ): Promise<BucketResult<{ path: string }>>;
  info(path: string): Promise<BucketResult<BucketObjectInfo>>;
  /**
   * Its error tells an absent object too, as with supabase-js.
   * @throws BucketError when no source responds, because that is neither true nor false
   */
  exists(
    path: string,
  ): Promise<{ readonly data: boolean; readonly error: BucketResult<never>['error'] }>;
  list(
    path?: string,
    options?: BucketListOptions,
    parameters?: BucketFetchParameters,
  ): Promise<BucketResult<BucketEntry[]>>;
  listV2(
    options?: BucketListV2Options,
    parameters?: BucketFetchParameters,
  ): Promise<BucketResult<BucketPage>>;
  /** @throws NotSupportedError without `urls` */
  getPublicUrl: BucketUrls['getPublicUrl'];
  /** For an object that the primary has: a pending one is not found there. */
  createSignedUrl: BucketUrls['createSignedUrl'];
  createSignedUrls: BucketUrls['createSignedUrls'];
  /** For an upload past this storage: during an outage nobody accepts it. */
  createSignedUploadUrl: NonNullable<BucketUrls['createSignedUploadUrl']>;
  /** Past this storage, as its URL is. */
  uploadToSignedUrl: NonNullable<BucketUrls['uploadToSignedUrl']>;
  purgeCache: NonNullable<BucketUrls['purgeCache']>;
}

interface BucketDeps {
  readonly name: string;
  readonly storage: Storage;
  readonly urls: BucketUrls | undefined;
  /** The storage of another bucket. */
  readonly other: (bucket: string) => Storage;
}

export function bucketOf(deps: BucketDeps): StorageBucket {
  return new DurableBucket(deps);
}

class DurableBucket implements StorageBucket {
  readonly #deps: BucketDeps;
  readonly #server: ServerCalls;
  #throws = false;

  constructor(deps: BucketDeps) {
    this.#deps = deps;
    this.#server = new ServerCalls(deps.urls, () => this.#options());
  }

  throwOnError(): this {
    this.#throws = true;
    return this;
  }

  setHeader(): never {
    const reason = 'headers of one request do not outlast an outage';
    throw new NotSupportedError('setHeader', reason, 'set them on the client of the backend');
  }

  upload(
    path: string,
    body: BucketBody,
    options?: BucketUploadOptions,
  ): Promise<BucketResult<BucketUploaded>> {
    return this.#put('upload', path, body, options);
  }

  update(
    path: string,
    body: BucketBody,
    options?: BucketUploadOptions,
  ): Promise<BucketResult<BucketUploaded>> {
    return this.#put('update', path, body, options);
  }

  async #put(
    call: 'upload' | 'update',
    path: string,
    given: BucketBody,
    options: BucketUploadOptions | undefined,
  ): Promise<BucketResult<BucketUploaded>> {
    const { name, storage } = this.#deps;
    const key = keyOf(path);
    const described = { contentType: options?.contentType };
    return asResult(this.#options(described), async () => {
      const read = readOptions('upload', options);
      const { body, ...said } = describeBody(key, given);
      const { contentType, cacheControl, metadata } = { ...said, ...read };
      described.contentType = contentType;
      const attributes = {
        contentType,
        ...(cacheControl !== undefined && { maxAgeSeconds: secondsOf(cacheControl) }),
        ...(metadata !== undefined && { metadata }),
      };
      const upsert = call === 'update' || read.upsert === true;
      const { stored, operationId: id } = await inCallOrder(
        [placeAt(storage, key)],
        () => checkBeforeWrite({ call, storage, bucket: name, key, upsert }),
        () => storage.upload(key, body, attributes),
      );
      if (stored !== 'primary') forgetBucket(storage);
      return { path: key, fullPath: `${name}/${key}`, id, stored };
    });
  }

  download(
    path: string,
    options?: BucketDownloadOptions,
    parameters?: BucketFetchParameters,
  ): BucketDownload {
    const { storage } = this.#deps;
    const signal = parameters?.signal;
    if (isTransform(options?.transform)) return this.#server.download(path, options, parameters);
    const read = <T>(use: (download: Download) => Promise<T>): Promise<BucketResult<T>> =>
      asResult(this.#options({ signal }), async () => {
        readOptions('download', options);
        readOptions('fetch', parameters);
        return use(await storage.download(keyOf(path), signal === undefined ? {} : { signal }));
      });
    return lazyDownload(
      () =>
        read(async (download) => {
          const bytes = Uint8Array.from(await download.bytes());
          return new Blob([bytes], { type: download.contentType });
        }),
      () => read(async ({ body }) => ReadableStream.from(body)),
    );
  }

  remove(paths: readonly string[]): Promise<BucketResult<BucketRemoved[]>> {
    const { name, storage } = this.#deps;
    return asResult(this.#options(), () => removeObjects(storage, name, paths));
  }

  copy(
    fromPath: string,
    toPath: string,
    options?: BucketCopyOptions,
  ): Promise<BucketResult<{ path: string }>> {
    return asResult(this.#options(), async () => {
      const read = readOptions('copy', options);
      const transfer = this.#transfer('copy', fromPath, toPath, read);
      await copyObject(transfer, read);
      return { path: `${transfer.targetBucket}/${transfer.to}` };
    });
  }

  move(
    fromPath: string,
    toPath: string,
    options?: Pick<BucketCopyOptions, 'destinationBucket' | 'upsert'>,
  ): Promise<BucketResult<{ message: string }>> {
    return asResult(this.#options(), async () => {
      await moveObject(this.#transfer('move', fromPath, toPath, readOptions('move', options)));
      return { message: 'Successfully moved' };
    });
  }

  info(path: string, options?: object): Promise<BucketResult<BucketObjectInfo>> {
    const { name, storage } = this.#deps;
    return asResult(this.#options(), async () => {
      readOptions('info', options);
      return infoOf(name, storage, keyOf(path));
    });
  }

  async exists(
    path: string,
  ): Promise<{ readonly data: boolean; readonly error: BucketResult<never>['error'] }> {
    const { error } = await this.info(path);
    if (error === null) return { data: true, error };
    if (error.code === 'NoSuchKey') return { data: false, error };
    throw error;
  }

  list(
    path = '',
    options?: BucketListOptions,
    parameters?: BucketFetchParameters,
  ): Promise<BucketResult<BucketEntry[]>> {
    const signal = parameters?.signal;
    return asResult(this.#options({ signal }), async () => {
      readOptions('fetch', parameters);
      return listFolder(this.#deps.storage, path, readOptions('list', options), signal);
    });
  }

  listV2(
    options?: BucketListV2Options,
    parameters?: BucketFetchParameters,
  ): Promise<BucketResult<BucketPage>> {
    const signal = parameters?.signal;
    return asResult(this.#options({ signal }), async () => {
      readOptions('fetch', parameters);
      return listPage(this.#deps.storage, readOptions('listV2', options), signal);
    });
  }

  getPublicUrl(...call: Parameters<BucketUrls['getPublicUrl']>): { data: { publicUrl: string } } {
    return this.#server.required('getPublicUrl').getPublicUrl(...call);
  }

  createSignedUrl(
    ...call: Parameters<BucketUrls['createSignedUrl']>
  ): ReturnType<BucketUrls['createSignedUrl']> {
    return this.#server.result(() =>
      this.#server.required('createSignedUrl').createSignedUrl(...call),
    );
  }

  createSignedUrls(
    ...call: Parameters<BucketUrls['createSignedUrls']>
  ): ReturnType<BucketUrls['createSignedUrls']> {
    return this.#server.result(() =>
      this.#server.required('createSignedUrls').createSignedUrls(...call),
    );
  }

  createSignedUploadUrl(
    ...call: Parameters<StorageBucket['createSignedUploadUrl']>
  ): ReturnType<StorageBucket['createSignedUploadUrl']> {
    return this.#server.result(() =>
      this.#server.required('createSignedUploadUrl').createSignedUploadUrl(...call),
    );
  }

  uploadToSignedUrl(
    ...call: Parameters<StorageBucket['uploadToSignedUrl']>
  ): ReturnType<StorageBucket['uploadToSignedUrl']> {
    return this.#server.result(() =>
      this.#server.required('uploadToSignedUrl').uploadToSignedUrl(...call),
    );
  }

  purgeCache(
    ...call: Parameters<StorageBucket['purgeCache']>
  ): ReturnType<StorageBucket['purgeCache']> {
    return this.#server.result(() => this.#server.required('purgeCache').purgeCache(...call));
  }

  #options(more: Omit<ResultOptions, 'throws'> = {}): ResultOptions {
    const throws = this.#throws;
    return {
      throws,
      signal: more.signal,
      // Known once the body is looked at.
      get contentType() {
        return more.contentType;
      },
    };
  }

  #transfer(
    call: 'copy' | 'move',
    fromPath: string,
    toPath: string,
    { destinationBucket, upsert = false }: BucketCopyOptions,
  ): Transfer {
    const { name, storage, other } = this.#deps;
    const targetBucket = destinationBucket ?? name;
    const target = targetBucket === name ? storage : other(targetBucket);
    const [from, to] = [keyOf(fromPath), keyOf(toPath)];
    return { call, storage, from, target, targetBucket, to, upsert };
  }
}

function isTransform(transform: unknown): boolean {
  return typeof transform === 'object' && transform !== null && Object.keys(transform).length > 0;
}

async function infoOf(bucketId: string, storage: Storage, key: string): Promise<BucketObjectInfo> {
  const info = await storage.info(key);
  const { size, contentType, etag, cacheControl, lastModifiedEpochMs, metadata, version } = info;
  return {
    id: key,
    version: version ?? '',
    name: key,
    bucketId,
    size,
    contentType,
    etag,
    cacheControl,
    createdAt: isoTime(info.createdEpochMs ?? lastModifiedEpochMs) ?? undefined,
    lastModified: isoTime(lastModifiedEpochMs) ?? undefined,
    metadata,
  };
}
