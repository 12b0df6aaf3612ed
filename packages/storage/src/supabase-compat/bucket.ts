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
   * Whether it may take the place of an object that is there. Default false, as with supabase-js: it is
   * looked for first; while nobody can be asked, the write is accepted all the same.
   */
  upsert?: boolean;
  metadata?: Readonly<Record<string, string>>;
}

/** Where an object is, beside what supabase-js says. */
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
  /** Another one that was given to `storageClient`. */
  destinationBucket?: string;
  /** As for an upload. */
  upsert?: boolean;
}

/** What makes addresses: a bucket of supabase-js. */
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

/** The calls that code written for `supabase.storage.from(bucket)` makes on objects. */
export interface StorageBucket {
  upload(
    path: string,
    body: Body,
    options?: BucketUploadOptions,
  ): Promise<BucketResult<BucketUploaded>>;
  /** As with supabase-js it replaces what is there, and makes what is not. */
  update: StorageBucket['upload'];
  download(path: string): Promise<BucketResult<Blob>>;
  /** Also those that were not there. */
  remove(paths: readonly string[]): Promise<BucketResult<{ name: string }[]>>;
  /** The bytes pass through this process; both of them are there until the old one is removed. */
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
  /** Of an object that the primary has: one that is still pending is not found there. */
  createSignedUrl: BucketUrls['createSignedUrl'];
  createSignedUrls: BucketUrls['createSignedUrls'];
  /** Refused: what is uploaded past this storage is neither kept nor ordered by it. */
  createSignedUploadUrl(path: string): Promise<BucketResult<never>>;
  uploadToSignedUrl(path: string): Promise<BucketResult<never>>;
}

export interface BucketDeps {
  readonly name: string;
  readonly storage: Storage;
  readonly urls: BucketUrls | undefined;
  /** The storage of another bucket. */
  readonly other: (bucket: string) => Storage;
}

/** How long an upload that may not replace anything waits for the word that nothing is there. */
const LOOK_MS = 2_000;

export function bucketOf({ name, storage, urls, other }: BucketDeps): StorageBucket {
  const put = async (
    path: string,
    body: Body,
    { contentType, cacheControl, metadata }: BucketUploadOptions,
  ): Promise<BucketUploaded> => {
    const { stored, operationId: id } = await storage.upload(path, body, {
      ...(contentType !== undefined && { contentType }),
      ...(cacheControl !== undefined && { maxAgeSeconds: secondsOf(cacheControl) }),
      ...(metadata !== undefined && { metadata }),
    });
    return { path, fullPath: `${name}/${path}`, id, stored };
  };

  const copy = async (
    call: string,
    fromPath: string,
    toPath: string,
    { destinationBucket = name, upsert = false }: BucketCopyOptions,
  ): Promise<string> => {
    const target = destinationBucket === name ? storage : other(destinationBucket);
    const { contentType, metadata } = await storage.info(fromPath);
    if (!upsert) await mustBeFree(call, target, toPath);
    const body = async () => (await storage.download(fromPath)).body;
    await target.upload(toPath, body, {
      ...(contentType !== undefined && { contentType }),
      metadata,
    });
    return `${destinationBucket}/${toPath}`;
  };

  const past = (call: string) => (): Promise<BucketResult<never>> =>
    asResult(() => {
      const why = 'what is uploaded past this storage is neither kept nor ordered by it';
      return Promise.reject(new NotSupportedError(call, why, 'upload through this process'));
    });

  const makeUrls = (call: string): BucketUrls => {
    if (urls !== undefined) return urls;
    const wayOut = 'give storageClient the option urls: supabase.storage';
    throw new NotSupportedError(call, 'only a server makes addresses', wayOut);
  };

  return {
    upload: (path, body, options = {}) =>
      asResult(async () => {
        if (options.upsert !== true) await mustBeFree('upload', storage, path);
        return put(path, body, options);
      }),
    update: (path, body, options = {}) => asResult(() => put(path, body, options)),
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
      asResult(async () => ({ path: await copy('copy', fromPath, toPath, options) })),
    move: (fromPath, toPath, options = {}) =>
      asResult(async () => {
        await copy('move', fromPath, toPath, options);
        // Nothing is lost if this is as far as it comes.
        await storage.remove(fromPath);
        return { message: 'Successfully moved' };
      }),
    info: (path) => asResult(() => infoOf(name, storage, path)),
    exists: (path) => asResult(() => storage.exists(path)),
    list: (path = '', options = {}) => asResult(() => listFolder(storage, path, options)),
    getPublicUrl: (...call) => makeUrls('getPublicUrl').getPublicUrl(...call),
    createSignedUrl: async (...call) => {
      const made = await asResult(() => makeUrls('createSignedUrl').createSignedUrl(...call));
      return made.error === null ? made.data : made;
    },
    createSignedUrls: async (...call) => {
      const made = await asResult(() => makeUrls('createSignedUrls').createSignedUrls(...call));
      return made.error === null ? made.data : made;
    },
    createSignedUploadUrl: past('createSignedUploadUrl'),
    uploadToSignedUrl: past('uploadToSignedUrl'),
  };
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

/** @throws ObjectExistsError; not where nobody can say so in time */
async function mustBeFree(call: string, storage: Storage, path: string): Promise<void> {
  const controller = new AbortController();
  const timer = systemClock.schedule(LOOK_MS, () => controller.abort(new Error('too late')));
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
