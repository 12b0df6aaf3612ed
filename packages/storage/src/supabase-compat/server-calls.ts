import { types } from 'node:util';
import { type BucketDownload, lazyDownload } from './download.ts';
import {
  type BucketResult,
  NotSupportedError,
  type ResultOptions,
  asResult,
  isBucketError,
} from './result.ts';
import { storageError } from './storage-error.ts';

/** A result of supabase-js. */
interface ServerResult<T> {
  readonly data: T | null;
  readonly error: unknown;
}

interface ServerDownload extends PromiseLike<ServerResult<Blob>> {
  asStream?(): PromiseLike<ServerResult<ReadableStream<Uint8Array>>>;
}

/** The bodies of an upload to a signed URL. */
type SignedUploadBody =
  | ArrayBuffer
  | ArrayBufferView
  | Blob
  | FormData
  | NodeJS.ReadableStream
  | ReadableStream<Uint8Array>
  | URLSearchParams
  | string;

/** The calls that only a server can answer: a bucket of supabase-js has all of them. */
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
  createSignedUploadUrl?(
    path: string,
    options?: { upsert: boolean },
  ): Promise<ServerResult<{ signedUrl: string; token: string; path: string }>>;
  uploadToSignedUrl?(
    path: string,
    token: string,
    body: SignedUploadBody,
    options?: object,
  ): Promise<ServerResult<{ path: string; fullPath: string }>>;
  purgeCache?(
    path: string,
    options?: object,
    parameters?: object,
  ): Promise<ServerResult<{ message: string }>>;
  /** For transformed images alone. */
  download?(path: string, options?: object, parameters?: object): ServerDownload;
}

/** Hands calls to the server, past the storage: they are neither accepted during an outage nor ordered by it. */
export class ServerCalls {
  readonly #urls: BucketUrls | undefined;
  readonly #results: () => ResultOptions;

  constructor(urls: BucketUrls | undefined, results: () => ResultOptions) {
    this.#urls = urls;
    this.#results = results;
  }

  /** @throws NotSupportedError unless there is a server for the call */
  required<Name extends keyof BucketUrls>(name: Name): Required<Pick<BucketUrls, Name>> {
    const urls = this.#urls;
    if (urls !== undefined && answers(urls, name)) return urls;
    const remedy = 'give storageClient the option urls: supabase.storage';
    throw new NotSupportedError(name, 'only a server can do that', remedy);
  }

  /** The result of supabase-js itself, or the error of this package. */
  async result<T extends { readonly error: unknown }>(
    ask: () => PromiseLike<T>,
  ): Promise<T | { readonly data: null; readonly error: unknown }> {
    const options = this.#results();
    const answered = await asResult(options, async () => ask());
    if (answered.error !== null) return answered;
    const { error } = answered.data;
    if (options.throws && types.isNativeError(error)) throw error;
    return answered.data;
  }

  /** A transformed image: made by the server. */
  download(...call: Parameters<NonNullable<BucketUrls['download']>>): BucketDownload {
    const begin = (): ServerDownload => this.required('download').download(...call);
    const stream = (): PromiseLike<ServerResult<ReadableStream<Uint8Array>>> => {
      const download = begin();
      if (download.asStream !== undefined) return download.asStream();
      const remedy = 'read it as a Blob, or update supabase-js';
      throw new NotSupportedError('asStream', 'this supabase-js has no streams', remedy);
    };
    return lazyDownload(
      async () => resultOf(await this.result(begin)),
      async () => resultOf(await this.result(stream)),
    );
  }
}

function answers<Name extends keyof BucketUrls>(
  urls: BucketUrls,
  name: Name,
): urls is BucketUrls & Required<Pick<BucketUrls, Name>> {
  return typeof urls[name] === 'function';
}

async function resultOf<T>({ data, error }: ServerResult<T>): Promise<BucketResult<T>> {
  if (error === null && data !== null) return { data, error };
  if (isBucketError(error)) return { data: null, error };
  const message = error instanceof Error ? error.message : 'the server gave no object';
  return {
    data: null,
    error: await storageError({ code: 'Unknown', status: 503, message }, error),
  };
}
