import type { BucketResult } from './result.ts';

/** A download that is read as a Blob, or after `asStream()` as a stream; nothing is read before it is awaited. */
export interface BucketDownload extends Promise<BucketResult<Blob>> {
  asStream(): Promise<BucketResult<ReadableStream<Uint8Array>>>;
}

/** A promise that begins its work once somebody waits for it, and at most once. */
class LazyPromise<T> implements Promise<T> {
  readonly [Symbol.toStringTag]: string = 'Promise';
  readonly #begin: () => Promise<T>;
  #begun: Promise<T> | undefined;

  constructor(begin: () => Promise<T>) {
    this.#begin = begin;
  }

  // oxlint-disable-next-line no-thenable -- it is a promise
  then<A = T, B = never>(
    onFulfilled?: ((value: T) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.#begun ??= this.#begin();
    return this.#begun.then(onFulfilled, onRejected);
  }

  catch<B = never>(onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null): Promise<T | B> {
    return this.then(undefined, onRejected);
  }

  finally(onFinally?: (() => void) | null): Promise<T> {
    return this.then((value) => value).finally(onFinally);
  }
}

class LazyDownload extends LazyPromise<BucketResult<Blob>> implements BucketDownload {
  readonly #stream: () => Promise<BucketResult<ReadableStream<Uint8Array>>>;

  constructor(
    blob: () => Promise<BucketResult<Blob>>,
    stream: () => Promise<BucketResult<ReadableStream<Uint8Array>>>,
  ) {
    super(blob);
    this.#stream = stream;
  }

  asStream(): Promise<BucketResult<ReadableStream<Uint8Array>>> {
    return new LazyPromise(this.#stream);
  }
}

/** @param blob reads the object as a Blob, @param stream as a stream. */
export function lazyDownload(
  blob: () => Promise<BucketResult<Blob>>,
  stream: () => Promise<BucketResult<ReadableStream<Uint8Array>>>,
): BucketDownload {
  return new LazyDownload(blob, stream);
}
