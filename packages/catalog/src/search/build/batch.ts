import { IndexBuildError } from '../errors.ts';

/** Bundles as `buildIndex` takes them: JSON in UTF-8. */
export function encodeBatch(bundles: readonly unknown[]): Uint8Array {
  return Buffer.from(JSON.stringify(bundles));
}

/** @throws IndexBuildError the bytes are not an array in JSON and UTF-8. */
export function decodeBatch(bytes: Uint8Array): readonly unknown[] {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw new IndexBuildError(
      'invalid-batch',
      `a batch of ${bytes.length} bytes is no JSON in UTF-8`,
      error,
    );
  }
  if (!Array.isArray(value)) {
    throw new IndexBuildError('invalid-batch', `a batch of ${bytes.length} bytes is no JSON array`);
  }
  return value;
}
