import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { type S3Server, createS3Server } from '../src/s3/s3-server.ts';
import type { S3ServerOptions } from '../src/s3/options.ts';

/** A server with an empty bucket `bucket`, and its owner's client. */
export interface OpenS3 {
  readonly server: S3Server;
  readonly client: S3Client;
  /** A further client; ended with the server. */
  readonly connect: (config?: S3ClientConfig) => S3Client;
}

/** Runs `work` against a server of its own, which is closed however that ends. */
export async function withS3(
  options: S3ServerOptions,
  work: (open: OpenS3) => Promise<void>,
): Promise<void> {
  const server = await createS3Server(options);
  const clients: S3Client[] = [];
  const connect = (config: S3ClientConfig = {}): S3Client => {
    const client = new S3Client({
      endpoint: server.url,
      region: 'us-east-1',
      forcePathStyle: true,
      credentials: server.credentials,
      maxAttempts: 1,
      ...config,
    });
    clients.push(client);
    return client;
  };
  try {
    await work({ server, client: connect(), connect });
  } finally {
    for (const client of clients) client.destroy();
    await server.close();
  }
}
