import {
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { createHash } from 'node:crypto';
import { type Clock, systemClock, withDeadline } from '@holdfast/foundation';
import { SiteStoreError } from '../../errors.ts';
import type { RemovalResult, SiteStore, SiteCallOptions } from '../site-store.ts';
import { isConflict, isMissing, toStoreError } from './s3-errors.ts';

/** A bucket, and how it is asked. */
export interface S3SiteStoreOptions {
  /** Configured by the caller; it is never closed here. */
  readonly client: S3Client;
  /** The bucket of the site. */
  readonly bucket: string;
  /** The longest that one request may take, its retries by the client included, in milliseconds. Default: 30,000. */
  readonly requestTimeoutMs?: number;
  /** The source of time. Default: the system clock. */
  readonly clock?: Clock;
}

const REQUEST_TIMEOUT_MS = 30_000;
/** The most keys of one DeleteObjects. */
const REMOVED_AT_A_TIME = 1_000;

/** A bucket as the store of a site. Bodies are buffers, which the client can send again; a stream it cannot. */
export function createS3SiteStore(options: S3SiteStoreOptions): SiteStore {
  const { client, bucket: Bucket } = options;
  const call = callerOf(options);
  return {
    name: `s3://${Bucket}`,
    get: (Key, given) =>
      call(`reading ${Key}`, given, async (abortSignal) => {
        try {
          const answer = await client.send(new GetObjectCommand({ Bucket, Key }), { abortSignal });
          const body = Buffer.from((await answer.Body?.transformToByteArray()) ?? []);
          return { body, etag: answer.ETag ?? '' };
        } catch (error) {
          if (isMissing(error)) return undefined;
          throw error;
        }
      }),
    sizeOf: (Key, given) =>
      call(`looking at ${Key}`, given, async (abortSignal) => {
        try {
          const answer = await client.send(new HeadObjectCommand({ Bucket, Key }), { abortSignal });
          return answer.ContentLength ?? 0;
        } catch (error) {
          if (isMissing(error)) return undefined;
          throw error;
        }
      }),
    put: (Key, Body, { contentType, cacheControl }, condition, given) =>
      call(`writing ${Key}`, given, async (abortSignal) => {
        const command = new PutObjectCommand({
          Bucket,
          Key,
          Body,
          ContentType: contentType,
          CacheControl: cacheControl,
          ChecksumSHA256: createHash('sha256').update(Body).digest('base64'),
          ...('ifMatch' in condition && { IfMatch: condition.ifMatch }),
          ...('ifAbsent' in condition && { IfNoneMatch: '*' }),
        });
        try {
          return { etag: (await client.send(command, { abortSignal })).ETag ?? '' };
        } catch (error) {
          if (!('always' in condition) && isConflict(error)) return 'conflict' as const;
          throw error;
        }
      }),
    list: (Prefix, given) =>
      call(`listing ${Prefix}`, given, async (abortSignal) => {
        const keys: string[] = [];
        let ContinuationToken: string | undefined;
        do {
          const page = await client.send(
            new ListObjectsV2Command({ Bucket, Prefix, ContinuationToken }),
            { abortSignal },
          );
          for (const { Key } of page.Contents ?? []) if (Key !== undefined) keys.push(Key);
          ContinuationToken = page.NextContinuationToken;
        } while (ContinuationToken !== undefined);
        return keys;
      }),
    remove: (keys, given) =>
      call(`removing ${keys.length} objects`, given, (abortSignal) =>
        removeAll(options, keys, abortSignal),
      ),
  };
}

/** A 200 may refuse each key by itself. */
async function removeAll(
  { client, bucket: Bucket }: S3SiteStoreOptions,
  keys: readonly string[],
  abortSignal: AbortSignal,
): Promise<RemovalResult> {
  const removed: string[] = [];
  const failed: { key: string; reason: string }[] = [];
  for (let at = 0; at < keys.length; at += REMOVED_AT_A_TIME) {
    const batch = keys.slice(at, at + REMOVED_AT_A_TIME);
    const Delete = { Objects: batch.map((Key) => ({ Key })), Quiet: true };
    const answer = await client.send(new DeleteObjectsCommand({ Bucket, Delete }), { abortSignal });
    const refused = new Map(
      (answer.Errors ?? []).map(({ Key = '', Code = 'unknown' }) => [Key, Code]),
    );
    for (const key of batch) {
      const reason = refused.get(key);
      if (reason === undefined) removed.push(key);
      else failed.push({ key, reason });
    }
  }
  return { removed, failed };
}

type Caller = <T>(
  what: string,
  given: SiteCallOptions | undefined,
  work: (signal: AbortSignal) => Promise<T>,
) => Promise<T>;

function callerOf({
  bucket,
  requestTimeoutMs = REQUEST_TIMEOUT_MS,
  clock = systemClock,
}: S3SiteStoreOptions): Caller {
  return async (what, given, work) => {
    const signal = given?.signal;
    const where = `${what} in ${bucket}`;
    const late = new SiteStoreError('network', `${where}: no answer in ${requestTimeoutMs} ms`);
    try {
      return await withDeadline(clock, requestTimeoutMs, signal, () => late, work);
    } catch (error) {
      signal?.throwIfAborted();
      // The client rejects with its own error at the deadline.
      if (error === late || Object(error).name === 'AbortError') throw late;
      throw toStoreError(where, error, clock.epochMs());
    }
  };
}
