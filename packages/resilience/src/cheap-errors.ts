/**
 * Makes an error without the cost of its stack: for refusals, which are many under load and always
 * thrown from the same place.
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

/** `false` where the process has frozen its intrinsics; the stack is then made all the same. */
function limitStacks(limit: number): boolean {
  try {
    Error.stackTraceLimit = limit;
    return true;
  } catch {
    return false;
  }
}

/**
 * What a refusal awaits before it is thrown. A promise that is rejected before anybody could listen to it
 * is first entered among the unhandled ones and then taken out again, which costs more than the refusal.
 */
export const soon: Promise<void> = Promise.resolve();
