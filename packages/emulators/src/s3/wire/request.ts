import type { IncomingMessage } from 'node:http';
import { bodyChunks } from '../../serving/body.ts';
import { s3Error } from './error.ts';

/** A query as it was sent: names may repeat, and a signature covers every pair. */
interface QueryParameters {
  readonly pairs: readonly (readonly [string, string])[];
  /** The first value of that name; empty for a name without a value. */
  get(name: string): string | undefined;
  has(name: string): boolean;
}

/** A parsed request. Its path is not normalized: `..` is a name like any other. */
export interface S3Request {
  readonly method: string;
  readonly rawPath: string;
  readonly query: QueryParameters;
  /** Empty for a request to the service itself. */
  readonly bucket: string;
  /** Empty for a request to a bucket. */
  readonly key: string;
  /** All values of a header, joined as in a signature. */
  readonly header: (name: string) => string | undefined;
  /** The headers with a prefix, by their names without it. */
  headersUnder(prefix: string): Record<string, string>;
  /** The body. A consumer that stops early leaves the connection open. */
  body(): AsyncIterable<Uint8Array>;
}

const MAX_KEY_BYTES = 1_024;

/**
 * @param onBytes called with the number of bytes of the body as they are read.
 * @throws S3Error when the path is not percent-encoded UTF-8 or the key is too long.
 */
export function parseS3Request(
  message: IncomingMessage,
  onBytes: (bytes: number) => void,
): S3Request {
  const url = message.url ?? '/';
  const mark = url.indexOf('?');
  const rawPath = mark === -1 ? url : url.slice(0, mark);
  const path = decode(rawPath.slice(1));
  const slash = path.indexOf('/');
  const key = slash === -1 ? '' : path.slice(slash + 1);
  if (Buffer.byteLength(key) > MAX_KEY_BYTES) throw s3Error('KeyTooLongError');
  const headers = new Map<string, string>();
  for (let at = 0; at + 1 < message.rawHeaders.length; at += 2) {
    const name = message.rawHeaders[at]?.toLowerCase() ?? '';
    const value = message.rawHeaders[at + 1] ?? '';
    const earlier = headers.get(name);
    headers.set(name, earlier === undefined ? value : `${earlier},${value}`);
  }
  return {
    method: message.method ?? 'GET',
    rawPath,
    query: parseQuery(mark === -1 ? '' : url.slice(mark + 1)),
    bucket: slash === -1 ? path : path.slice(0, slash),
    key,
    header: (name) => headers.get(name),
    headersUnder: (prefix) =>
      Object.fromEntries(
        [...headers]
          .filter(([name]) => name.startsWith(prefix))
          .map(([name, value]) => [name.slice(prefix.length), value]),
      ),
    body: () => bodyChunks(message, onBytes),
  };
}

function parseQuery(text: string): QueryParameters {
  const pairs = text
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair) => {
      const sign = pair.indexOf('=');
      const name = sign === -1 ? pair : pair.slice(0, sign);
      return [decode(name), sign === -1 ? '' : decode(pair.slice(sign + 1))] as const;
    });
  const get = (name: string): string | undefined => pairs.find(([each]) => each === name)?.[1];
  return { pairs, get, has: (name) => get(name) !== undefined };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw s3Error('InvalidURI');
  }
}
