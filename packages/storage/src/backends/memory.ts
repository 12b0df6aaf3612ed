import { createHash } from 'node:crypto';
import { type Clock, systemClock } from '@holdfast/foundation';
import {
  type BackendFailure,
  type BackendResult,
  type BodySource,
  type ListedObject,
  type WriteStamp,
  type ObjectHead,
  type PutOptions,
  type StorageBackend,
  fail,
  ok,
} from '../backend.ts';
import { bytesSource, collect } from '../object/body.ts';
import { anyKeys, refuseKey } from '../object/key.ts';

/** One call, as an interceptor sees it. */
export interface MemoryCall {
  readonly kind: 'put' | 'get' | 'head' | 'remove' | 'list';
  readonly key: string;
  readonly stamp?: WriteStamp;
}

/** What an interceptor makes of a call: nothing, a failure before it, or one after it took effect. */
export type MemoryFault =
  | undefined
  | { readonly before: BackendFailure }
  | { readonly after: BackendFailure };

export interface MemoryObject {
  readonly bytes: Uint8Array;
  readonly head: ObjectHead;
}

export interface MemoryBackend extends StorageBackend {
  /** What is stored, to be looked at or damaged. */
  readonly objects: Map<string, MemoryObject>;
  /** Asked before each call; may take its time. */
  intercept: (call: MemoryCall, signal: AbortSignal) => MemoryFault | Promise<MemoryFault>;
  /** Applies a write as the server would, whoever waits for it. */
  apply(key: string, bytes: Uint8Array, given: Partial<Omit<ObjectHead, 'key' | 'size'>>): void;
}

/** A store in memory that can be told to fail; for tests. */
export function createMemoryBackend(
  options: {
    name?: string;
    bucket?: string;
    clock?: Clock;
  } = {},
): MemoryBackend {
  const { name = 'memory', bucket = 'bucket', clock = systemClock } = options;
  const objects = new Map<string, MemoryObject>();
  let versions = 0;

  const attempt = async <T>(
    call: MemoryCall,
    signal: AbortSignal,
    act: () => BackendResult<T> | Promise<BackendResult<T>>,
  ): Promise<BackendResult<T>> => {
    const refused = refuseKey(call.key, anyKeys);
    if (refused !== undefined && call.kind !== 'list') return fail('invalid', refused);
    if (signal.aborted) return fail('transient', 'aborted before it was sent');
    const fault = await backend.intercept(call, signal);
    if (fault !== undefined && 'before' in fault) return fault.before;
    const result = await act();
    return fault === undefined || result.kind !== 'ok' ? result : fault.after;
  };

  const backend: MemoryBackend = {
    name,
    bucket,
    largeFromBytes: Number.MAX_SAFE_INTEGER,
    objects,
    intercept: () => undefined,
    refuseKey: (key) => refuseKey(key, anyKeys),
    apply(key, bytes, given) {
      versions += 1;
      const head = {
        key,
        size: bytes.byteLength,
        version: `v${versions}`,
        lastModifiedEpochMs: clock.epochMs(),
        metadata: {},
        ...given,
      };
      objects.set(key, { bytes: Uint8Array.from(bytes), head });
    },
    put: (key: string, body: BodySource, { stamp, condition, signal, ...given }: PutOptions) =>
      attempt({ kind: 'put', key, stamp }, signal, async () => {
        const bytes = body.bytes ?? (await collect(body.open()).catch(() => undefined));
        if (bytes === undefined) return fail('transient', 'the body could not be read');
        const found = objects.get(key)?.head;
        if (condition === 'absent' && found !== undefined) {
          return fail('conflict', 'it exists');
        }
        if (typeof condition === 'object' && found?.version !== condition.version) {
          return fail('conflict', 'another version');
        }
        const sha256 = createHash('sha256').update(bytes).digest('hex');
        if (sha256 !== stamp.sha256) return fail('transient', 'the checksum does not match');
        const { contentType, metadata } = given;
        backend.apply(key, bytes, { contentType, metadata, stamp });
        const { version } = objects.get(key)?.head ?? {};
        return ok(version === undefined ? {} : { version });
      }),
    get: (key, { signal, from = 0, version }) =>
      attempt({ kind: 'get', key }, signal, () => {
        const found = objects.get(key);
        if (found === undefined) return fail('notFound', 'no such object');
        if (version !== undefined && found.head.version !== version) {
          return fail('conflict', 'another version');
        }
        return ok({ head: found.head, body: bytesSource(found.bytes).open(from) });
      }),
    head: (key, { signal }) =>
      attempt({ kind: 'head', key }, signal, () => {
        const found = objects.get(key);
        return found === undefined
          ? fail('notFound', 'no such object')
          : ok({ ...found.head, servedAtEpochMs: clock.epochMs() });
      }),
    remove: (key, { signal }) =>
      attempt({ kind: 'remove', key }, signal, () => {
        objects.delete(key);
        return ok(undefined);
      }),
    list: (prefix, { signal, limit, cursor }) =>
      attempt({ kind: 'list', key: prefix }, signal, () =>
        ok(page(objects, prefix, limit, cursor)),
      ),
  };
  return backend;
}

function page(
  objects: ReadonlyMap<string, MemoryObject>,
  prefix: string,
  limit: number,
  cursor: string | undefined,
): { objects: ListedObject[]; cursor?: string } {
  const found = [...objects.values()]
    .map(({ head }) => head)
    .filter(
      ({ key }) => key.startsWith(prefix) && (cursor === undefined || inOrder(cursor, key) < 0),
    )
    .toSorted((left, right) => inOrder(left.key, right.key));
  const shown = found.slice(0, limit);
  const last = shown.at(-1);
  return {
    objects: shown,
    ...(last !== undefined && found.length > limit && { cursor: last.key }),
  };
}

function inOrder(left: string, right: string): number {
  return Buffer.compare(Buffer.from(left), Buffer.from(right));
}
