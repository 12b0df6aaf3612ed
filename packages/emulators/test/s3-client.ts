import { expect } from '@jest/globals';
import { CreateBucketCommand, S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { type S3Server, createS3Server } from '../src/s3/s3-server.ts';
import type { S3ServerOptions } from '../src/s3/options.ts';

const nothing = (): void => undefined;
/** What the SDK has to say about streams is no news here. */
const silent = { trace: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing };

/** A server with an empty bucket `bucket`, and its owner's client. */
export interface OpenS3 {
  readonly server: S3Server;
  readonly client: S3Client;
  /** A further client; ended with the server. */
  readonly connect: (config?: S3ClientConfig) => S3Client;
}

/**
 * Runs `work` against a server of its own, which is closed however that ends.
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
      // A copy, because the SDK marks those it is given.
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

/** A refusal as the SDK reports it. */
export function s3Error(name: string, status: number): object {
  return expect.objectContaining({
    name,
    $metadata: expect.objectContaining({ httpStatusCode: status }),
  });
}
