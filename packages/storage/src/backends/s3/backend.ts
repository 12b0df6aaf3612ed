import { Readable } from 'node:stream';
import type { S3Client } from '@aws-sdk/client-s3';
import {
  type Clock,
  objectWith,
  integer,
  parseOptions,
  systemClock,
  string,
} from '@holdfast/foundation';
import {
  type StorageFailure,
  type BackendResult,
  type BodySource,
  type PutCondition,
  type GetOptions,
  type ListOptions,
  type ObjectPage,
  type ObjectContent,
  type ObjectHead,
  type PutOptions,
  type PutReceipt,
  type StorageBackend,
  fail,
  ok,
} from '../../backend.ts';
import { anyKeys, keyFailure, refuseKey } from '../../object/key.ts';
import { stampedMetadata, parseMetadata } from '../../object/write-stamp.ts';
import { lengthCheckedBody } from '../length-checked-body.ts';
import { conditionHeaders, honoursConditions } from './conditions.ts';
import { abandonParts, putInParts } from './multipart.ts';
import { S3Session } from './session.ts';

export interface S3BackendOptions {
  /** A client of `@aws-sdk/client-s3`; its own retries are not used. */
  client: S3Client;
  bucket: string;
  /** Default `s3`. */
  name?: string;
  /** Time limit for a response, in milliseconds, beside the time for sending a body. Default 15 000. */
  requestTimeoutMs?: number;
  /** The lowest rate of sending: the time limit grows by a second for this many bytes. Default 65 536. */
  minBytesPerSecond?: number;
  /** Longer bodies are sent in parts. Default 8 MiB. */
  largeFromBytes?: number;
  /** Length of a part; longer for bodies of over 10 000 parts. Default 8 MiB. */
  partBytes?: number;
  clock?: Clock;
}

const MIB = 1_048_576;

const shape = {
  client: objectWith<S3Client>(['send', 'middlewareStack']),
  bucket: string({ maxLength: 255 }),
  name: string({ maxLength: 100, default: 's3' }),
  requestTimeoutMs: integer({ min: 1, max: 3_600_000, default: 15_000 }),
  minBytesPerSecond: integer({ min: 1, max: Number.MAX_SAFE_INTEGER, default: 65_536 }),
  largeFromBytes: integer({ min: 5 * MIB, max: 5 * 1_024 * MIB, default: 8 * MIB }),
  partBytes: integer({ min: 5 * MIB, max: 5 * 1_024 * MIB, default: 8 * MIB }),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

/**
 * A bucket of S3, or of another server with its interface.
 * @throws InvalidOptionError
 */
export function s3Backend(options: S3BackendOptions): StorageBackend {
  return new S3Backend(parseOptions('s3Backend', shape, options));
}

class S3Backend implements StorageBackend {
  readonly name: string;
  readonly bucket: string;
  readonly largeFromBytes: number;
  readonly #partBytes: number;
  readonly #session: S3Session;
  /** Whether the server checks conditions; `undefined` before the first write with one. */
  #honoursConditions: boolean | undefined;

  constructor(options: Required<S3BackendOptions>) {
    this.#session = new S3Session(options);
    this.name = options.name;
    this.bucket = options.bucket;
    this.largeFromBytes = options.largeFromBytes;
    this.#partBytes = options.partBytes;
  }

  refuseKey(key: string): string | undefined {
    return refuseKey(key, anyKeys);
  }

  async put(
    key: string,
    body: BodySource,
    options: PutOptions,
  ): Promise<BackendResult<PutReceipt>> {
    const invalid = keyFailure(key, anyKeys) ?? (await this.#unmet(key, options));
    if (invalid !== undefined) return invalid;
    if (body.size > this.largeFromBytes) {
      return putInParts(this.#session, { key, body, options, partBytes: this.#partBytes });
    }
    const { stamp, signal } = options;
    const sent = await this.#session.send(
      { effect: 'write', signal, bytes: body.size },
      (client, sdk, sending) =>
        client.send(
          new sdk.PutObjectCommand({
            Bucket: this.bucket,
            Key: key,
            Body: body.bytes ?? Readable.from(body.open(), { objectMode: false }),
            ContentLength: body.size,
            ContentType: options.contentType,
            CacheControl: `max-age=${options.maxAgeSeconds}`,
            Metadata: stampedMetadata(stamp, options.metadata),
            // The server then verifies the same checksum that a reader will.
            ChecksumSHA256: Buffer.from(stamp.sha256, 'hex').toString('base64'),
            ...conditionHeaders(options.condition),
          }),
          sending,
        ),
    );
    if (sent.kind !== 'ok') return sent;
    const { ETag } = sent.value;
    return ETag === undefined ? fail('unknown', 'HTTP 200 without an ETag') : ok({ version: ETag });
  }

  async get(
    key: string,
    { signal, from = 0, version }: GetOptions,
  ): Promise<BackendResult<ObjectContent>> {
    const invalid = keyFailure(key, anyKeys);
    if (invalid !== undefined) return invalid;
    const begun = await this.#session.begin({ effect: 'read', signal }, (client, sdk, sending) =>
      client.send(
        new sdk.GetObjectCommand({
          Bucket: this.bucket,
          Key: key,
          ...(from > 0 && { Range: `bytes=${from}-` }),
          ...(version !== undefined && { IfMatch: version }),
        }),
        sending,
      ),
    );
    if (begun.kind !== 'ok') return begun;
    const { output, timeout } = begun.value;
    const { Body: body, ContentLength: stated } = output;
    if (!(body instanceof Readable) || stated === undefined) {
      timeout.end();
      return fail('transient', 'a response without a body or a length');
    }
    const skipped = output.ContentRange === undefined ? 0 : from;
    const head = { ...headOf(key, output), size: stated + skipped };
    const expected = { skip: from - skipped, size: stated, timeout };
    return ok({ head, body: lengthCheckedBody(key, body, expected) });
  }

  async head(key: string, { signal }: { signal: AbortSignal }): Promise<BackendResult<ObjectHead>> {
    const invalid = keyFailure(key, anyKeys);
    if (invalid !== undefined) return invalid;
    const sent = await this.#session.send({ effect: 'read', signal }, (client, sdk, sending) =>
      client.send(new sdk.HeadObjectCommand({ Bucket: this.bucket, Key: key }), sending),
    );
    if (sent.kind !== 'ok') return sent;
    return sent.value.ETag === undefined
      ? fail('transient', 'HTTP 200 without an ETag')
      : ok({ ...headOf(key, sent.value), ...this.#session.servedAt(sent.value) });
  }

  async remove(
    key: string,
    { signal }: { signal: AbortSignal },
  ): Promise<BackendResult<undefined>> {
    const invalid = keyFailure(key, anyKeys);
    if (invalid !== undefined) return invalid;
    const sent = await this.#session.send({ effect: 'write', signal }, (client, sdk, sending) =>
      client.send(new sdk.DeleteObjectCommand({ Bucket: this.bucket, Key: key }), sending),
    );
    if (sent.kind === 'ok') return ok(undefined);
    return sent.kind === 'notFound' && sent.code === 'NoSuchKey' ? ok(undefined) : sent;
  }

  async list(
    prefix: string,
    { signal, limit, cursor }: ListOptions,
  ): Promise<BackendResult<ObjectPage>> {
    const sent = await this.#session.send({ effect: 'read', signal }, (client, sdk, sending) =>
      client.send(
        new sdk.ListObjectsV2Command({
          Bucket: this.bucket,
          Prefix: prefix,
          MaxKeys: limit,
          ...(cursor !== undefined && { ContinuationToken: cursor }),
        }),
        sending,
      ),
    );
    if (sent.kind !== 'ok') return sent;
    const { Contents = [], NextContinuationToken } = sent.value;
    return ok({
      objects: Contents.flatMap(({ Key, Size, LastModified }) =>
        Key === undefined
          ? []
          : [
              {
                key: Key,
                ...(Size !== undefined && { size: Size }),
                ...(LastModified !== undefined && { lastModifiedEpochMs: LastModified.getTime() }),
              },
            ],
      ),
      ...(NextContinuationToken !== undefined && { cursor: NextContinuationToken }),
    });
  }

  abandon(
    key: string,
    saved: unknown,
    { signal }: { signal: AbortSignal },
  ): Promise<BackendResult<undefined>> {
    return abandonParts(this.#session, key, saved, signal);
  }

  /** Checks a condition by a read before the write, where the server would ignore it. */
  async #unmet(
    key: string,
    { condition, signal }: { condition: PutCondition; signal: AbortSignal },
  ): Promise<StorageFailure | undefined> {
    if (condition === 'none') return undefined;
    if (this.#honoursConditions === undefined) {
      const probed = await honoursConditions(this.#session, signal);
      if (probed.kind !== 'ok') return probed;
      this.#honoursConditions = probed.value;
    }
    if (this.#honoursConditions) return undefined;
    const found = await this.head(key, { signal });
    if (found.kind !== 'ok' && found.kind !== 'notFound') return found;
    const version = found.kind === 'ok' ? found.value.version : undefined;
    const isMet =
      condition === 'absent' ? found.kind === 'notFound' : version === condition.version;
    return isMet ? undefined : fail('conflict', 'it exists in another version');
  }
}

function headOf(
  key: string,
  output: {
    ETag?: string | undefined;
    ContentLength?: number | undefined;
    ContentType?: string | undefined;
    LastModified?: Date | undefined;
    Metadata?: Record<string, string> | undefined;
  },
): ObjectHead {
  const { ETag, ContentLength = 0, ContentType, LastModified, Metadata } = output;
  return {
    key,
    size: ContentLength,
    ...(ETag !== undefined && { version: ETag }),
    ...(ContentType !== undefined && { contentType: ContentType }),
    ...(LastModified !== undefined && { lastModifiedEpochMs: LastModified.getTime() }),
    ...parseMetadata(Metadata),
  };
}
