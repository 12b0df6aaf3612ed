import { BodyIntegrityError } from '../errors.ts';
import type { RequestTimeout } from './request-timeout.ts';

interface ExpectedBody {
  /** The bytes before the first wanted one. */
  readonly skip: number;
  readonly size: number;
  readonly timeout: RequestTimeout;
  /** Closes the connection of a response that is not read to its end. */
  readonly release: () => void;
}

/**
 * The body of a response, checked against its stated length: a connection that closes early ends the body of
 * `fetch` with an error in some cases and without one in others. Each chunk restarts the timeout. `return()` releases
 * the connection, also before the first chunk is read.
 */
export function lengthCheckedBody(
  key: string,
  body: AsyncIterable<Uint8Array> | null,
  expected: ExpectedBody,
): AsyncGenerator<Uint8Array> {
  const checked = checkedChunks(key, body, expected);
  const end = checked.return.bind(checked);
  checked.return = (value) => {
    expected.timeout.end();
    expected.release();
    return end(value);
  };
  return checked;
}

async function* checkedChunks(
  key: string,
  body: AsyncIterable<Uint8Array> | null,
  expected: ExpectedBody,
): AsyncGenerator<Uint8Array> {
  const { size, timeout } = expected;
  let seen = 0;
  let skip = expected.skip;
  try {
    for await (const chunk of body ?? []) {
      timeout.restart();
      seen += chunk.byteLength;
      const skipped = Math.min(skip, chunk.byteLength);
      skip -= skipped;
      if (skipped < chunk.byteLength) yield skipped === 0 ? chunk : chunk.subarray(skipped);
    }
  } catch (error) {
    throw new BodyIntegrityError(key, `the body broke off after ${seen} of ${size} bytes`, error);
  } finally {
    timeout.end();
  }
  if (seen !== size)
    throw new BodyIntegrityError(key, `the body ended after ${seen} of ${size} bytes`);
}
