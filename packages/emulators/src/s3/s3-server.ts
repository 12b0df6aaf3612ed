import { createServer } from 'node:http';
import { requireNode } from '@holdfast/foundation';
import { type S3ServerStats, openS3Handler } from './handler.ts';
import { listenOn } from '../serving/http-listener.ts';
import { type S3ServerOptions, parseS3ServerOptions } from './options.ts';

export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** An S3 of this process. */
export interface S3Server {
  readonly url: string;
  readonly host: string;
  readonly port: number;
  readonly credentials: S3Credentials;
  getStats(): S3ServerStats;
  /** Ends every connection and stops listening. Calling it again changes nothing. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Starts an S3 server in this process, path style, for tests: signatures, checksums, conditions and
 * policies are verified as S3 does, because a client is proven only against a server that refuses.
 * @throws InvalidOptionError; the system's own error when it cannot listen.
 */
export async function createS3Server(options: S3ServerOptions = {}): Promise<S3Server> {
  requireNode('createS3Server');
  const settled = parseS3ServerOptions(options);
  const handler = await openS3Handler(settled, () => undefined);
  const server = createServer((message, response) => handler.serve(message, response));
  const listening = await listenOn(server, settled);
  const close = async (): Promise<void> => {
    await listening.close();
    handler.close();
  };
  const { accessKeyId, secretAccessKey } = settled;
  return {
    host: listening.host,
    port: listening.port,
    url: listening.url,
    credentials: { accessKeyId, secretAccessKey },
    getStats: () => handler.getStats(),
    close,
    [Symbol.asyncDispose]: close,
  };
}
