/** What an injected error tells beside what the real one would. */
export interface Injection {
  readonly kind: string;
  readonly seed: number;
  readonly callNumber: number;
}

/**
 * An error like the ones of `node:net` and the file system, so that classifiers take it for real: a plain
 * Error with a `code`. Its message ends with where it came from, and `injection` says it to programs.
 */
export function injectedError(
  injection: Injection,
  message: string,
  fields: Readonly<Record<string, unknown>> = {},
): Error {
  const { kind, seed, callNumber } = injection;
  const code = /\bE[A-Z][A-Z0-9_]{2,}\b/.exec(message)?.[0];
  const error = new Error(`${message} (injected: ${kind}, call ${callNumber}, seed ${seed})`);
  return Object.assign(error, code === undefined ? {} : { code }, fields, { injection });
}
