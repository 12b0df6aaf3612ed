/** The storage of Holdfast as a module that is scored. */
import { S3Client } from '@aws-sdk/client-s3';
import { createStorage, s3Backend } from '@holdfast/storage';

export default function open({
  endpoint,
  region,
  bucket,
  accessKeyId,
  secretAccessKey,
  directory,
}) {
  const credentials = { accessKeyId, secretAccessKey };
  const client = new S3Client({ endpoint, region, credentials, forcePathStyle: true });
  const storage = createStorage({
    backends: [s3Backend({ client, bucket, requestTimeoutMs: 400 })],
    journal: { directory },
    acknowledgeWithinMs: 300,
    lateWriteMs: 1_500,
    circuitBreaker: { openDurationMs: 100, maxOpenDurationMs: 200 },
  });
  return {
    upload: (path, body) => storage.upload(path, body),
    download: async (path) => (await storage.download(path)).bytes(),
    close: () => storage.close({ deadlineMs: 1_000 }),
  };
}
