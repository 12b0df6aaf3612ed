import { requireNode } from '@holdfast/foundation';
import { type HttpListener, listen } from '../serving/http-listener.ts';
import { type S3ServerStats, openS3Handler } from './handler.ts';
import { type S3ServerOptions, parseS3ServerOptions } from './options.ts';

/** The key that requests are signed with. */
export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** An S3 server in this process. */
export interface S3Server extends HttpListener {
  readonly credentials: S3Credentials;
  getStats(): S3ServerStats;
}

/**
 * Starts an S3 server in this process, with path-style addresses, for tests. It verifies signatures, checksums,
 * conditions and policies as S3 does: only a server that rejects wrong requests proves a client right.
 * @throws InvalidOptionError; the system's own error when it cannot listen.
 */
export async function createS3Server(options: S3ServerOptions = {}): Promise<S3Server> {
  requireNode('createS3Server');
  const resolved = parseS3ServerOptions(options);
  const handler = await openS3Handler(resolved, () => undefined);
  const { accessKeyId, secretAccessKey } = resolved;
  return {
    ...(await listen(handler, resolved)),
    credentials: { accessKeyId, secretAccessKey },
    getStats: () => handler.getStats(),
  };
}
