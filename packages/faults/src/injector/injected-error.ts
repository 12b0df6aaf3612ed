/** The origin of an injected error, in its `injection` property. */
export interface Injection {
  readonly kind: string;
  readonly seed: number;
  readonly callNumber: number;
  /** What the caller named the operation, and how often it was called; absent without a key. */
  readonly key?: string;
  readonly keyedCall?: number;
}

/**
 * Creates an error like those of `node:net` and the file system, a plain Error with a `code`, so that classifiers treat
 * it as real. Its message ends with its origin, and `injection` has it as data.
 */
export function injectedError(
  injection: Injection,
  message: string,
  fields: Readonly<Record<string, unknown>> = {},
): Error {
  const { kind, seed, callNumber, key, keyedCall } = injection;
  const call = key === undefined ? `call ${callNumber}` : `call ${keyedCall} of ${key}`;
  const code = /\bE[A-Z][A-Z0-9_]{2,}\b/.exec(message)?.[0];
  const error = new Error(`${message} (injected: ${kind}, ${call}, seed ${seed})`);
  return Object.assign(error, code === undefined ? {} : { code }, fields, { injection });
}
