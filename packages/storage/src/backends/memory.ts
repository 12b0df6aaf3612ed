import { createHash } from 'node:crypto';
import { type Clock, systemClock } from '@holdfast/foundation';
import {
  type StorageFailure,
  type BackendResult,
  type BodySource,
  type GetOptions,
  type ListOptions,
  type ObjectPage,
  type ObjectContent,
  type ObjectHead,
  type PutOptions,
  type PutReceipt,
  type StorageBackend,
  type WriteStamp,
  fail,
  ok,
} from '../backend.ts';
import { bytesSource, collect } from '../object/body.ts';
import { cacheControlOf } from '../object/cache-control.ts';
import { anyKeys, compareKeys, keyFailure, refuseKey } from '../object/key.ts';
import { pageOf } from './page.ts';

/** One call, as an interceptor sees it. */
export interface MemoryCall {
  readonly kind: 'put' | 'get' | 'head' | 'remove' | 'list';
  readonly key: string;
  readonly stamp?: WriteStamp;
}

/** How an interceptor changes a call: not at all, by a failure before it, or by one after it took effect. */
export type MemoryFault =
  | undefined
  | { readonly before: StorageFailure }
  | { readonly after: StorageFailure };

/** An object in the memory of a `MemoryBackend`. */
export interface MemoryObject {
  readonly bytes: Uint8Array;
  readonly head: ObjectHead;
}

/** A backend in memory, for tests: it can be read, damaged and made to fail. */
export interface MemoryBackend extends StorageBackend {
  /** The stored objects, for a test to read or damage. */
  readonly objects: Map<string, MemoryObject>;
  /** Called before each call; may return a promise. */
  intercept: (call: MemoryCall, signal: AbortSignal) => MemoryFault | Promise<MemoryFault>;
  /** Applies a write at the server, without a call. */
  apply(key: string, bytes: Uint8Array, given: Partial<Omit<ObjectHead, 'key' | 'size'>>): void;
}

/** A store in memory whose failures a test chooses. */
export function createMemoryBackend(
  options: { name?: string; bucket?: string; clock?: Clock } = {},
): MemoryBackend {
  return new InMemoryBackend(options);
}

class InMemoryBackend implements MemoryBackend {
  readonly name: string;
  readonly bucket: string;
  readonly largeFromBytes: number = Number.MAX_SAFE_INTEGER;
  readonly objects = new Map<string, MemoryObject>();
  intercept: MemoryBackend['intercept'] = () => undefined;
  readonly #clock: Clock;
  #versions = 0;

  constructor(options: { name?: string; bucket?: string; clock?: Clock }) {
    this.name = options.name ?? 'memory';
    this.bucket = options.bucket ?? 'bucket';
    this.#clock = options.clock ?? systemClock;
  }

  refuseKey(key: string): string | undefined {
    return refuseKey(key, anyKeys);
  }

  apply(key: string, bytes: Uint8Array, given: Partial<Omit<ObjectHead, 'key' | 'size'>>): void {
    this.#versions += 1;
    const head = {
      key,
      size: bytes.byteLength,
      version: `v${this.#versions}`,
      etag: `"${createHash('md5').update(bytes).digest('hex')}"`,
      createdEpochMs: this.objects.get(key)?.head.createdEpochMs ?? this.#clock.epochMs(),
      lastModifiedEpochMs: this.#clock.epochMs(),
      metadata: {},
      ...given,
    };
    this.objects.set(key, { bytes: Uint8Array.from(bytes), head });
  }

  put(key: string, body: BodySource, options: PutOptions): Promise<BackendResult<PutReceipt>> {
    const { stamp, condition, signal, contentType, maxAgeSeconds, metadata } = options;
    return this.#call({ kind: 'put', key, stamp }, signal, async () => {
      const bytes = body.bytes ?? (await collect(body.open()).catch(() => undefined));
      if (bytes === undefined) return fail('transient', 'the body could not be read');
      const found = this.objects.get(key)?.head;
      if (condition === 'absent' && found !== undefined) return fail('conflict', 'it exists');
      if (typeof condition === 'object' && found?.version !== condition.version) {
        return fail('conflict', 'another version');
      }
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      if (sha256 !== stamp.sha256) return fail('transient', 'the checksum does not match');
      this.apply(key, bytes, {
        contentType,
        cacheControl: cacheControlOf(maxAgeSeconds),
        metadata,
        stamp,
      });
      return ok({ version: `v${this.#versions}` });
    });
  }

  get(
    key: string,
    { signal, from = 0, version }: GetOptions,
  ): Promise<BackendResult<ObjectContent>> {
    return this.#call({ kind: 'get', key }, signal, () => {
      const found = this.objects.get(key);
      if (found === undefined) return fail('notFound', 'no such object');
      if (version !== undefined && found.head.version !== version) {
        return fail('conflict', 'another version');
      }
      return ok({ head: found.head, body: bytesSource(found.bytes).open(from) });
    });
  }

  head(key: string, { signal }: { signal: AbortSignal }): Promise<BackendResult<ObjectHead>> {
    return this.#call({ kind: 'head', key }, signal, () => {
      const found = this.objects.get(key);
      return found === undefined
        ? fail('notFound', 'no such object')
        : ok({ ...found.head, servedAtEpochMs: this.#clock.epochMs() });
    });
  }

  remove(key: string, { signal }: { signal: AbortSignal }): Promise<BackendResult<undefined>> {
    return this.#call({ kind: 'remove', key }, signal, () => {
      this.objects.delete(key);
      return ok(undefined);
    });
  }

  list(prefix: string, { signal, limit, cursor }: ListOptions): Promise<BackendResult<ObjectPage>> {
    return this.#call({ kind: 'list', key: prefix }, signal, () => {
      const heads = [...this.objects.values()].map(({ head }) => head);
      const found = heads.filter(
        ({ key }) =>
          key.startsWith(prefix) && (cursor === undefined || compareKeys(cursor, key) < 0),
      );
      return ok(pageOf(found, limit));
    });
  }

  async #call<T>(
    call: MemoryCall,
    signal: AbortSignal,
    act: () => BackendResult<T> | Promise<BackendResult<T>>,
  ): Promise<BackendResult<T>> {
    const invalid = call.kind === 'list' ? undefined : keyFailure(call.key, anyKeys);
    if (invalid !== undefined) return invalid;
    if (signal.aborted) return fail('transient', 'aborted before it was sent');
    const fault = await this.intercept(call, signal);
    if (fault !== undefined && 'before' in fault) return fault.before;
    const result = await act();
    return fault === undefined || result.kind !== 'ok' ? result : fault.after;
  }
}
