import { isDeepStrictEqual } from 'node:util';
import {
  CreateBucketCommand,
  GetObjectCommand,
  PutObjectCommand,
  type PutObjectCommandInput,
  type PutObjectCommandOutput,
  S3Client,
  type S3ClientConfig,
} from '@aws-sdk/client-s3';

export interface S3Place {
  readonly url: string;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
}

/** A separate bucket for one check, and its owner's client. */
export interface S3World extends S3Place {
  readonly bucket: string;
  readonly client: S3Client;
  /** Opens another client; it is closed with the world. */
  readonly connect: (config: S3ClientConfig) => S3Client;
  readonly put: (
    key: string,
    body: NonNullable<PutObjectCommandInput['Body']>,
    more?: Omit<PutObjectCommandInput, 'Bucket' | 'Key' | 'Body'>,
  ) => Promise<PutObjectCommandOutput>;
  readonly read: (key: string, range?: string) => Promise<string>;
  close(): void;
}

const nothing = (): void => undefined;
const silent = { trace: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing };

export async function openS3World(place: S3Place, bucket: string): Promise<S3World> {
  const clients: S3Client[] = [];
  const connect = (config: S3ClientConfig): S3Client => {
    const client = new S3Client({
      endpoint: place.url,
      region: 'us-east-1',
      forcePathStyle: true,
      credentials: { ...place.credentials },
      maxAttempts: 1,
      logger: silent,
      ...config,
    });
    clients.push(client);
    return client;
  };
  const client = connect({});
  await client.send(new CreateBucketCommand({ Bucket: bucket }));
  return {
    ...place,
    bucket,
    client,
    connect,
    put: (Key, Body, more = {}) =>
      client.send(new PutObjectCommand({ Bucket: bucket, Key, Body, ...more })),
    async read(Key, Range) {
      const got = await client.send(new GetObjectCommand({ Bucket: bucket, Key, Range }));
      return (await got.Body?.transformToString()) ?? '';
    },
    close: () => clients.forEach((each) => each.destroy()),
  };
}

/** `ok`, or the code and the status of the error. */
export async function refusalOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'ok';
  } catch (error) {
    return errorTextOf(error);
  }
}

function errorTextOf(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('name' in error)) return 'no error';
  const metadata = '$metadata' in error ? error.$metadata : undefined;
  const isAnswer =
    typeof metadata === 'object' && metadata !== null && 'httpStatusCode' in metadata;
  return isAnswer ? `${String(error.name)} ${String(metadata.httpStatusCode)}` : String(error.name);
}

/** `ok`, or the value found instead. The order of keys says nothing: a database may sort them. */
export function same(found: unknown, wanted: unknown): string {
  // As JSON, because the values of a client may come from another realm.
  const [a, b]: unknown[] = [found, wanted].map((each) => JSON.parse(JSON.stringify(each)));
  return isDeepStrictEqual(a, b) ? 'ok' : `found ${JSON.stringify(found)}`;
}
