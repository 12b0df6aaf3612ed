import { type Hash, createHash } from 'node:crypto';
import type { ContentVerifier } from './gateways.ts';

/** Compares the SHA-256 of the content. */
export class Sha256Verifier implements ContentVerifier {
  readonly #expected: Uint8Array;
  readonly #hash: Hash = createHash('sha256');

  constructor(expected: Uint8Array) {
    this.#expected = expected;
  }

  update(chunk: Uint8Array): void {
    this.#hash.update(chunk);
  }

  matches(): boolean {
    return this.#hash.digest().equals(this.#expected);
  }
}
