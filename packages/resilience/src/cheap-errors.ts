/**
 * Creates an error without its stack trace, which is most of its cost: for refusals, which are many under load
 * and always come from the same place.
 */
export function withoutStack<E extends Error>(make: () => E): E {
  const limit = Error.stackTraceLimit;
  const adjusted = limitStacks(0);
  try {
    return make();
  } finally {
    if (adjusted) limitStacks(limit);
  }
}

/** `false` where the process has frozen its intrinsics; the error then has a stack trace. */
function limitStacks(limit: number): boolean {
  try {
    Error.stackTraceLimit = limit;
    return true;
  } catch {
    return false;
  }
}

/**
 * Awaited before a refusal is thrown. A promise that rejects before it has a handler is first recorded as
 * unhandled and then removed again, which costs more than the refusal.
 */
export const resolved: Promise<void> = Promise.resolve();
