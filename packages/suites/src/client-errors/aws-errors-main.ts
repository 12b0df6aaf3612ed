/** Calls S3 outside Jest's realm, and sends the kind of each error. A message is the signal of the next call. */
import { GetObjectCommand } from '@aws-sdk/client-s3';
import { classifyError } from '@holdfast/resilience';
import { createS3Client } from './aws-client.ts';

const s3 = createS3Client(process.argv[2] ?? '', 300);

function signalOf(kind: unknown): AbortSignal | undefined {
  if (kind === 'timeout') return AbortSignal.timeout(20);
  if (kind !== 'abort') return undefined;
  const controller = new AbortController();
  setImmediate(() => controller.abort());
  return controller.signal;
}

process.on('message', (kind: unknown) => {
  const abortSignal = signalOf(kind);
  s3.send(new GetObjectCommand({ Bucket: 'b', Key: 'k' }), abortSignal && { abortSignal }).then(
    () => process.send?.('no error'),
    (error: unknown) => process.send?.(classifyError(error)),
  );
});
