import { Readable } from 'node:stream';
import type { S3Client } from '@aws-sdk/client-s3';
import {
  type Clock,
  boolean,
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
  needing,
  ok,
} from '../../backend.ts';
import { anyKeys, keyFailure, refuseKey } from '../../object/key.ts';
import { stampedMetadata, parseMetadata } from '../../object/write-stamp.ts';
import { lengthCheckedBody } from '../length-checked-body.ts';
import { S3Absence } from './absence.ts';
import { S3Features, type WriteForm } from './features.ts';
import { abandonParts, putInParts } from './multipart.ts';
import { S3Session } from './session.ts';

/** The part of an `S3Client` of `@aws-sdk/client-s3` by which it is recognized. */
export interface S3ClientLike {
  readonly middlewareStack: object;
  send(command: never, options?: never): unknown;
}

/** Options of `s3Backend`. All times in milliseconds. */
export interface S3BackendOptions {
  /** A client of `@aws-sdk/client-s3`; its own retries are not used. */
  client: S3ClientLike;
  /** The bucket, which exists. */
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
  /**
   * Whether writes may state conditions (`If-None-Match`, `If-Match`). What the server supports is found out;
   * `false`: none are stated, and another writer is looked for before the write instead. Default true.
   */
  conditionalWrites?: boolean;
  /** Whether ETags in `If-Match` have quotes. Found out; `false`: never. Default true. */
  quotedETags?: boolean;
  /** Whether writes may state checksums. What the server supports is found out; `false`: none. Default true. */
  checksums?: boolean;
  /** The source of time. Default: the system clock. */
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
  conditionalWrites: boolean(true),
  quotedETags: boolean(true),
  checksums: boolean(true),
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
  readonly #features: S3Features;
  readonly #absence: S3Absence;

  constructor(options: Required<S3BackendOptions> & { client: S3Client }) {
    this.#session = new S3Session(options);
    this.#features = new S3Features(this.#session, options);
    this.#absence = new S3Absence(this.#session);
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
    const invalid = keyFailure(key, anyKeys);
    if (invalid !== undefined) return invalid;
    const sent = await this.#put(key, body, options);
    if (sent.kind === 'ok') this.#absence.wrote(key);
    return needing(sent.kind === 'conflict' ? 's3:GetObject' : 's3:PutObject', sent);
  }

  async #put(
    key: string,
    body: BodySource,
    options: PutOptions,
  ): Promise<BackendResult<PutReceipt>> {
    const look = () => this.#unmet(key, options);
    if (body.size <= this.largeFromBytes) {
      return this.#features.write(key, options, look, (form) =>
        this.#putWhole(key, body, options, form),
      );
    }
    const { progress } = options;
    let saved = progress?.saved;
    const kept: PutOptions = {
      ...options,
      ...(progress !== undefined && {
        progress: {
          // A second form of the write continues the upload that the first began.
          get saved() {
            return saved;
          },
          save(state) {
            saved = state;
            return progress.save(state);
          },
        },
      }),
    };
    return this.#features.write(key, options, look, (form) =>
      putInParts(this.#session, { key, body, options: kept, partBytes: this.#partBytes, form }),
    );
  }

  async #putWhole(
    key: string,
    body: BodySource,
    options: PutOptions,
    { checksums, conditions }: WriteForm,
  ): Promise<BackendResult<PutReceipt>> {
    const { stamp, signal } = options;
    // The SDK neither listens for the errors of a stream that it does not read yet, nor closes one that it has
    // stopped reading.
    const content =
      body.bytes ?? Readable.from(body.open(), { objectMode: false }).on('error', () => {});
    const sending = this.#session.send(
      { effect: 'write', signal, bytes: body.size, checksums },
      (client, sdk, sendOptions) =>
        client.send(
          new sdk.PutObjectCommand({
            Bucket: this.bucket,
            Key: key,
            Body: content,
            ContentLength: body.size,
            ContentType: options.contentType,
            CacheControl: `max-age=${options.maxAgeSeconds}`,
            Metadata: stampedMetadata(stamp, options.metadata),
            // The server then verifies the same checksum that a reader will.
            ...(checksums && {
              ChecksumSHA256: Buffer.from(stamp.sha256, 'hex').toString('base64'),
            }),
            ...conditions,
          }),
          sendOptions,
        ),
    );
    const sent = await sending;
    if (content instanceof Readable) content.destroy();
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
    const sent = await this.#session.begin({ effect: 'read', signal }, (client, sdk, sending) =>
      client.send(
        new sdk.GetObjectCommand({
          Bucket: this.bucket,
          Key: key,
          ...(from > 0 && { Range: `bytes=${from}-` }),
        }),
        sending,
      ),
    );
    const begun = await this.#absence.judge(key, sent, signal);
    if (begun.kind !== 'ok') return begun;
    const { output, timeout } = begun.value;
    const { Body: body, ContentLength: stated } = output;
    if (!(body instanceof Readable) || stated === undefined) {
      timeout.end();
      return fail('transient', 'a response without a body or a length');
    }
    // Its timeout destroys the stream, perhaps before anybody listens to it.
    body.on('error', () => {});
    // Compared here: not every server compares `If-Match`, or with quotes.
    if (version !== undefined && output.ETag !== version) {
      timeout.end();
      body.destroy();
      return fail('conflict', 'it has another version');
    }
    const skipped = output.ContentRange === undefined ? 0 : from;
    const head = { ...headOf(key, output), size: stated + skipped };
    const release = (): void => void body.destroy();
    const expected = { skip: from - skipped, size: stated, timeout, release };
    return ok({ head, body: lengthCheckedBody(key, body, expected) });
  }

  async head(key: string, { signal }: { signal: AbortSignal }): Promise<BackendResult<ObjectHead>> {
    const invalid = keyFailure(key, anyKeys);
    if (invalid !== undefined) return invalid;
    const sent = await this.#session.send({ effect: 'read', signal }, (client, sdk, sending) =>
      client.send(new sdk.HeadObjectCommand({ Bucket: this.bucket, Key: key }), sending),
    );
    const judged = await this.#absence.judge(key, sent, signal);
    if (judged.kind === 'notFound' && !this.#absence.isBucketSeen) {
      const got = await this.get(key, { signal });
      if (got.kind !== 'ok') return got;
      await got.value.body[Symbol.asyncIterator]().return?.();
    }
    if (judged.kind !== 'ok') return judged;
    return judged.value.ETag === undefined
      ? fail('transient', 'HTTP 200 without an ETag')
      : ok({ ...headOf(key, judged.value), ...this.#session.servedAt(judged.value) });
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
    if (sent.kind === 'notFound' && sent.code === 'NoSuchKey') return ok(undefined);
    return needing('s3:DeleteObject', sent);
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
    if (sent.kind !== 'ok') return needing('s3:ListBucket', sent);
    const { Contents = [], NextContinuationToken } = sent.value;
    return ok({
      objects: Contents.flatMap(({ Key, Size, ETag, LastModified }) =>
        Key === undefined
          ? []
          : [
              {
                key: Key,
                ...(Size !== undefined && { size: Size }),
                ...(ETag !== undefined && { etag: ETag }),
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

  /** Checks a condition by a read before the write, where the server does not. */
  async #unmet(
    key: string,
    { condition, signal }: { condition: PutCondition; signal: AbortSignal },
  ): Promise<StorageFailure | undefined> {
    if (condition === 'none') return undefined;
    const found = await this.head(key, { signal });
    // Who must not look may still write: the server's own check, or none, is all there is.
    if (found.kind === 'denied') return undefined;
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
    CacheControl?: string | undefined;
    LastModified?: Date | undefined;
    Metadata?: Record<string, string> | undefined;
  },
): ObjectHead {
  const { ETag, ContentLength = 0, ContentType, CacheControl, LastModified, Metadata } = output;
  return {
    key,
    size: ContentLength,
    ...(ETag !== undefined && { version: ETag, etag: ETag }),
    ...(ContentType !== undefined && { contentType: ContentType }),
    ...(CacheControl !== undefined && { cacheControl: CacheControl }),
    ...(LastModified !== undefined && { lastModifiedEpochMs: LastModified.getTime() }),
    ...parseMetadata(Metadata),
  };
}
