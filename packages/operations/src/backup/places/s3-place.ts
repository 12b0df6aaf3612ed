import {
  DeleteObjectsCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { objectWith, parseOptions, propertyOf, string } from '@holdfast/foundation';
import type { BackupPlace } from './place.ts';

/** Options of {@link s3Place}. */
export interface S3PlaceOptions {
  /** The client; its credentials need GetObject, PutObject, DeleteObject and ListBucket. */
  client: S3Client;
  /** The bucket. */
  bucket: string;
  /** The folder in it, such as `backups/`. Default: none. */
  prefix?: string;
  /** Its name in reports. Default `s3`. */
  name?: string;
}

const MAX_NAME = 255;
const MAX_PREFIX = 512;
/** What one request removes at most. */
const MAX_REMOVED = 1_000;
const schema = {
  client: objectWith<S3Client>(['send']),
  bucket: string({ maxLength: MAX_NAME }),
  prefix: string({ minLength: 0, maxLength: MAX_PREFIX, default: '' }),
  name: string({ maxLength: MAX_NAME, default: 's3' }),
};

/**
 * A bucket of S3, or of what speaks its protocol.
 *
 * @throws InvalidOptionError
 */
export function s3Place(options: S3PlaceOptions): BackupPlace {
  const { client, bucket: Bucket, prefix, name } = parseOptions('s3Place', schema, options);
  return {
    name,
    async write(key, bytes, abortSignal) {
      // Bytes, not a stream: the client repeats a failed request.
      const command = new PutObjectCommand({ Bucket, Key: prefix + key, Body: bytes });
      await client.send(command, { abortSignal });
    },
    async read(key, abortSignal) {
      try {
        const command = new GetObjectCommand({ Bucket, Key: prefix + key });
        const { Body } = await client.send(command, { abortSignal });
        return await Body?.transformToByteArray();
      } catch (error) {
        if (propertyOf(error, 'name') === 'NoSuchKey') return undefined;
        throw error;
      }
    },
    async list(from, abortSignal) {
      const keys: string[] = [];
      let ContinuationToken: string | undefined;
      do {
        const command = new ListObjectsV2Command({
          Bucket,
          Prefix: prefix + from,
          ContinuationToken,
        });
        const page = await client.send(command, { abortSignal });
        for (const { Key } of page.Contents ?? []) if (Key !== undefined) keys.push(Key);
        ContinuationToken = page.NextContinuationToken;
      } while (ContinuationToken !== undefined);
      return keys.map((key) => key.slice(prefix.length));
    },
    async remove(keys, abortSignal) {
      for (let at = 0; at < keys.length; at += MAX_REMOVED) {
        const Objects = keys.slice(at, at + MAX_REMOVED).map((key) => ({ Key: prefix + key }));
        const command = new DeleteObjectsCommand({ Bucket, Delete: { Objects, Quiet: true } });
        const { Errors = [] } = await client.send(command, { abortSignal });
        // The answer is a 200 also when keys were refused.
        const [refused] = Errors;
        if (refused !== undefined) {
          throw new Error(`${Errors.length} keys were not removed: ${String(refused.Code)}`);
        }
      }
    },
  };
}
