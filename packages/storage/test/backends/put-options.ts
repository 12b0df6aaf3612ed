import { createHash, randomUUID } from 'node:crypto';
import type { PutOptions } from '../../src/backend.ts';

/** The options of an unconditional upload of these bytes; without an id, as an operation of its own. */
export function putOptions(bytes: Uint8Array, operationId: string = randomUUID()): PutOptions {
  return {
    contentType: 'text/plain',
    maxAgeSeconds: 60,
    metadata: {},
    condition: 'none',
    signal: new AbortController().signal,
    stamp: {
      operationId,
      generation: 1,
      sha256: createHash('sha256').update(bytes).digest('hex'),
    },
  };
}
