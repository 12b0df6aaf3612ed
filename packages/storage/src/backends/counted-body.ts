import { BodyCutError } from '../errors.ts';
import type { Deadline } from './deadline.ts';

/**
 * The body of an answer, held to the length it stated: a connection that closes early ends the body of
 * `fetch` with an error in some cases and without one in others. Each chunk begins the deadline anew.
 */
export async function* countedBody(
  key: string,
  body: AsyncIterable<Uint8Array> | null,
  expected: { skip: number; size: number; limit: Deadline },
): AsyncGenerator<Uint8Array> {
  const { size, limit } = expected;
  let seen = 0;
  let skip = expected.skip;
  try {
    for await (const chunk of body ?? []) {
      limit.extend();
      seen += chunk.byteLength;
      const skipped = Math.min(skip, chunk.byteLength);
      skip -= skipped;
      if (skipped < chunk.byteLength) yield skipped === 0 ? chunk : chunk.subarray(skipped);
    }
  } catch (error) {
    throw new BodyCutError(key, `the body broke off after ${seen} of ${size} bytes`, error);
  } finally {
    limit.end();
  }
  if (seen !== size) throw new BodyCutError(key, `the body ended after ${seen} of ${size} bytes`);
}
