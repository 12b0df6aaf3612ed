import { expect } from '@jest/globals';
import { CreateBucketCommand, S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { type S3Server, createS3Server } from '../src/s3/s3-server.ts';
import type { S3ServerOptions } from '../src/s3/options.ts';

const nothing = (): void => undefined;
/** Suppresses the SDK's warnings about streams. */
const silent = { trace: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing };

/** A server with an empty bucket `bucket`, and its owner's client. */
export interface OpenS3 {
  readonly server: S3Server;
  readonly client: S3Client;
  /** Creates another client, which is closed with the server. */
  readonly connect: (config?: S3ClientConfig) => S3Client;
}

/**
 * Runs `work` against a new server, which is always closed.
 * @param config of every client.
 */
export async function withS3(
  options: S3ServerOptions,
  work: (open: OpenS3) => Promise<void>,
  config: S3ClientConfig = {},
): Promise<void> {
  const server = await createS3Server(options);
  const clients: S3Client[] = [];
  const connect = (more: S3ClientConfig = {}): S3Client => {
    const client = new S3Client({
      endpoint: server.url,
      region: 'us-east-1',
      forcePathStyle: true,
      // A copy, because the SDK modifies the object.
      credentials: { ...server.credentials },
      maxAttempts: 1,
      logger: silent,
      ...config,
      ...more,
    });
    clients.push(client);
    return client;
  };
  try {
    const client = connect();
    await client.send(new CreateBucketCommand({ Bucket: 'bucket' }));
    await work({ server, client, connect });
  } finally {
    for (const client of clients) client.destroy();
    await server.close();
  }
}

/** An S3 error as the SDK reports it. */
export function s3Error(name: string, status: number): object {
  return expect.objectContaining({
    name,
    $metadata: expect.objectContaining({ httpStatusCode: status }),
  });
}
