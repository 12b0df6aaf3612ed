import { BodyIntegrityError } from '../errors.ts';
import type { RequestTimeout } from './request-timeout.ts';

/**
 * The body of a response, checked against its stated length: a connection that closes early ends the body of
 * `fetch` with an error in some cases and without one in others. Each chunk restarts the timeout.
 */
export async function* lengthCheckedBody(
  key: string,
  body: AsyncIterable<Uint8Array> | null,
  expected: { skip: number; size: number; timeout: RequestTimeout },
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
