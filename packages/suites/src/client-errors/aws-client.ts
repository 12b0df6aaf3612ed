import { S3Client } from '@aws-sdk/client-s3';

/** A client that does not retry. */
export function createS3Client(endpoint: string, requestTimeoutMs: number): S3Client {
  return new S3Client({
    endpoint,
    region: 'eu-central-1',
    credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
    forcePathStyle: true,
    maxAttempts: 1,
    requestHandler: { requestTimeout: requestTimeoutMs, throwOnRequestTimeout: true },
  });
}
