import { hash } from 'node:crypto';
import type { Operation } from '../../src/journal/operation.ts';

/** An upload whose bytes are those of `bytesOf`. */
export function operation(generation: number, more: Partial<Operation> = {}): Operation {
  const text = `body ${generation}`;
  return {
    kind: 'put',
    key: `k${generation}`,
    id: `w-${generation}`,
    generation,
    acceptedAtEpochMs: 5,
    size: text.length,
    sha256: hash('sha256', text, 'hex'),
    contentType: 'text/plain',
    maxAgeSeconds: 60,
    metadata: { color: 'red' },
    ...more,
  };
}

export const bytesOf = ({ generation }: Operation): Buffer => Buffer.from(`body ${generation}`);
