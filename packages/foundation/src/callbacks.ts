/** A short description of anything that can be thrown; never throws itself. */
export function describeThrown(thrown: unknown): string {
  try {
    return String(thrown);
  } catch {
    return 'a value that cannot be converted to a string';
  }
}

/** Whether a value may be awaited. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    ((typeof value === 'object' && value !== null) || typeof value === 'function') &&
    'then' in value &&
    typeof value.then === 'function'
  );
}

/**
 * Calls a user's function whose failure must not become that of the call it belongs to: an error that it throws, or
 * with which its promise rejects, is reported by `process.emitWarning`.
 * @param what names the function in the warning, such as `a listener of holdfast:queue:spilled`.
 */
export function callSafely<Args extends readonly unknown[]>(
  what: string,
  callback: (...args: Args) => unknown,
  ...args: Args
): void {
  try {
    const result = callback(...args);
    if (!isThenable(result)) return;
    Promise.resolve(result).catch((error: unknown) => {
      process.emitWarning(`${what} rejected: ${describeThrown(error)}`);
    });
  } catch (error) {
    process.emitWarning(`${what} threw: ${describeThrown(error)}`);
  }
}
