import { InvalidOptionError, systemClock } from '@holdfast/foundation';
import type { Body } from '../object/body.ts';
import type { Storage } from '../storage.ts';
import { type BucketEntry, type BucketListOptions, listFolder } from './folders.ts';
import { NotSupportedError, type BucketResult, ObjectExistsError, asResult } from './result.ts';

export interface BucketUploadOptions {
  contentType?: string;
  /** In seconds. Default 3 600. */
  cacheControl?: string | number;
  /**
   * Whether it may replace an existing object. Default false, as with supabase-js: the path is checked first;
   * while no backend responds, the write is accepted all the same.
   */
  upsert?: boolean;
  metadata?: Readonly<Record<string, string>>;
}

/** The result of supabase-js, and where the object is stored. */
export interface BucketUploaded {
  readonly path: string;
  readonly fullPath: string;
  readonly id: string;
  readonly stored: 'primary' | 'queued' | 'local';
}

export interface BucketObjectInfo {
  readonly id: string;
  readonly version: string;
  readonly name: string;
  readonly bucketId: string;
  readonly size: number;
  readonly contentType: string | undefined;
  readonly lastModified: string | undefined;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface BucketCopyOptions {
  /** Another bucket of the same `storageClient`. */
  destinationBucket?: string;
  /** As for an upload. */
  upsert?: boolean;
}

/** Makes URLs: a bucket of supabase-js. */
export interface BucketUrls {
  getPublicUrl(path: string, options?: object): { data: { publicUrl: string } };
  createSignedUrl(
    path: string,
    expiresIn: number,
    options?: object,
  ): Promise<{ data: { signedUrl: string } | null; error: unknown }>;
  createSignedUrls(
    paths: string[],
    expiresIn: number,
    options?: object,
  ): Promise<{ data: unknown; error: unknown }>;
}

/** The calls on objects of `supabase.storage.from(bucket)`. */
export interface StorageBucket {
  upload(
    path: string,
    body: Body,
    options?: BucketUploadOptions,
  ): Promise<BucketResult<BucketUploaded>>;
  /** Replaces an object or creates it, as with supabase-js. */
  update: StorageBucket['upload'];
  download(path: string): Promise<BucketResult<Blob>>;
  /** Its result contains the paths of missing objects too. */
  remove(paths: readonly string[]): Promise<BucketResult<{ name: string }[]>>;
  /** The bytes pass through this process; both objects exist until the old one is removed. */
  move(
    fromPath: string,
    toPath: string,
    options?: BucketCopyOptions,
  ): Promise<BucketResult<{ message: string }>>;
  /** The bytes pass through this process. */
  copy(
    fromPath: string,
    toPath: string,
    options?: BucketCopyOptions,
  ): Promise<BucketResult<{ path: string }>>;
  info(path: string): Promise<BucketResult<BucketObjectInfo>>;
  exists(path: string): Promise<BucketResult<boolean>>;
  list(path?: string, options?: BucketListOptions): Promise<BucketResult<BucketEntry[]>>;
  /** @throws NotSupportedError without `urls` */
  getPublicUrl: BucketUrls['getPublicUrl'];
  /** For an object that the primary has: a pending one is not found there. */
  createSignedUrl: BucketUrls['createSignedUrl'];
  createSignedUrls: BucketUrls['createSignedUrls'];
  /** Not supported: an upload that bypasses this storage would be neither kept nor ordered by it. */
  createSignedUploadUrl(path: string): Promise<BucketResult<never>>;
  uploadToSignedUrl(path: string): Promise<BucketResult<never>>;
}

interface BucketDeps {
  readonly name: string;
  readonly storage: Storage;
  readonly urls: BucketUrls | undefined;
  /** The storage of another bucket. */
  readonly other: (bucket: string) => Storage;
}

/** How long an upload without `upsert` waits for the check that the path is free. */
const CHECK_MS = 2_000;

export function bucketOf(deps: BucketDeps): StorageBucket {
  const { name, storage } = deps;
  return {
    upload: (path, body, options = {}) =>
      asResult(async () => {
        if (options.upsert !== true) await mustBeFree('upload', storage, path);
        return put(deps, path, body, options);
      }),
    update: (path, body, options = {}) => asResult(() => put(deps, path, body, options)),
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
    copy: (fromPath, toPath, options = {}) =>
      asResult(async () => ({ path: await copy(deps, 'copy', fromPath, toPath, options) })),
    move: (fromPath, toPath, options = {}) =>
      asResult(async () => {
        await copy(deps, 'move', fromPath, toPath, options);
        // A failure between the two leaves both objects.
        await storage.remove(fromPath);
        return { message: 'Successfully moved' };
      }),
    info: (path) => asResult(() => infoOf(name, storage, path)),
    exists: (path) => asResult(() => storage.exists(path)),
    list: (path = '', options = {}) => asResult(() => listFolder(storage, path, options)),
    getPublicUrl: (...call) => urlsFor(deps, 'getPublicUrl').getPublicUrl(...call),
    createSignedUrl: (...call) =>
      signed(() => urlsFor(deps, 'createSignedUrl').createSignedUrl(...call)),
    createSignedUrls: (...call) =>
      signed(() => urlsFor(deps, 'createSignedUrls').createSignedUrls(...call)),
    createSignedUploadUrl: bypassing('createSignedUploadUrl'),
    uploadToSignedUrl: bypassing('uploadToSignedUrl'),
  };
}

/** The result of supabase-js itself, or the error of this package. */
async function signed<T>(sign: () => Promise<T>): Promise<T | BucketResult<never>> {
  const made = await asResult(sign);
  return made.error === null ? made.data : made;
}

async function put(
  { name, storage }: BucketDeps,
  path: string,
  body: Body,
  { contentType, cacheControl, metadata }: BucketUploadOptions,
): Promise<BucketUploaded> {
  const { stored, operationId: id } = await storage.upload(path, body, {
    ...(contentType !== undefined && { contentType }),
    ...(cacheControl !== undefined && { maxAgeSeconds: secondsOf(cacheControl) }),
    ...(metadata !== undefined && { metadata }),
  });
  return { path, fullPath: `${name}/${path}`, id, stored };
}

async function copy(
  { name, storage, other }: BucketDeps,
  call: string,
  fromPath: string,
  toPath: string,
  { destinationBucket = name, upsert = false }: BucketCopyOptions,
): Promise<string> {
  const target = destinationBucket === name ? storage : other(destinationBucket);
  const { contentType, metadata } = await storage.info(fromPath);
  if (!upsert) await mustBeFree(call, target, toPath);
  const body = async () => (await storage.download(fromPath)).body;
  await target.upload(toPath, body, {
    ...(contentType !== undefined && { contentType }),
    metadata,
  });
  return `${destinationBucket}/${toPath}`;
}

/** A call that would bypass the storage. */
function bypassing(call: string): () => Promise<BucketResult<never>> {
  return () =>
    asResult(() => {
      const reason = 'an upload that bypasses this storage is neither kept nor ordered by it';
      return Promise.reject(new NotSupportedError(call, reason, 'upload through this process'));
    });
}

/** @throws NotSupportedError */
function urlsFor({ urls }: BucketDeps, call: string): BucketUrls {
  if (urls !== undefined) return urls;
  const remedy = 'give storageClient the option urls: supabase.storage';
  throw new NotSupportedError(call, 'only a server makes URLs', remedy);
}

async function infoOf(bucketId: string, storage: Storage, path: string): Promise<BucketObjectInfo> {
  const {
    size,
    contentType,
    lastModifiedEpochMs,
    metadata,
    version = '',
  } = await storage.info(path);
  return {
    id: path,
    version,
    name: path,
    bucketId,
    size,
    contentType,
    lastModified:
      lastModifiedEpochMs === undefined ? undefined : new Date(lastModifiedEpochMs).toISOString(),
    metadata,
  };
}

/** @throws ObjectExistsError, unless no backend responds in time */
async function mustBeFree(call: string, storage: Storage, path: string): Promise<void> {
  const controller = new AbortController();
  const timer = systemClock.schedule(CHECK_MS, () =>
    controller.abort(new Error('no response in time')),
  );
  try {
    if (await storage.exists(path, { signal: controller.signal })) {
      throw new ObjectExistsError(call, path);
    }
  } catch (error) {
    const isUnknown = controller.signal.aborted || hasCode(error, 'STORAGE_UNAVAILABLE');
    if (!isUnknown) throw error;
  } finally {
    timer.cancel();
  }
}

function hasCode(error: unknown, code: string): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === code;
}

/** @throws InvalidOptionError */
function secondsOf(cacheControl: string | number): number {
  const seconds = Number(cacheControl);
  if (Number.isSafeInteger(seconds) && seconds >= 0) return seconds;
  throw new InvalidOptionError(
    'upload',
    'cacheControl',
    cacheControl,
    'a number of seconds from 0',
  );
}
