import { describeThrown, describeValue, isThenable } from '@holdfast/foundation';

/** Reports a problem of one user's function by `process.emitWarning`, the first time only. */
export type WarnOnce = (problem: string) => void;

/** @param what names policy and option, such as `retry: retryableErrors`. */
export function warnOnce(what: string): WarnOnce {
  let warned = false;
  return (problem) => {
    if (warned) return;
    warned = true;
    process.emitWarning(`${what} ${problem}`);
  };
}

/** How the answer of a user's function is understood. */
export interface Answer<T> {
  readonly permitted: string;
  /** `undefined` for a value that is not permitted. */
  parse(value: unknown): T | undefined;
  /** Applies if the function throws, rejects, or returns what is not permitted. */
  readonly otherwise: T;
}

/** What counts is whether the value is truthy, as in an `if`. */
export function yesOrNo(otherwise: boolean): Answer<boolean> {
  return { permitted: 'true or false', parse: Boolean, otherwise };
}

/**
 * Asks a user's function for a decision. One that fails decides nothing, and never replaces the outcome of the call
 * that is decided about. A promise is awaited.
 */
export function decide<T>(warn: WarnOnce, answer: Answer<T>, ask: () => unknown): T | Promise<T> {
  const accept = (value: unknown): T => {
    const parsed = answer.parse(value);
    if (parsed !== undefined) return parsed;
    warn(`must return ${answer.permitted}, but returned ${describeValue(value)}`);
    return answer.otherwise;
  };
  try {
    const value = ask();
    if (!isThenable(value)) return accept(value);
    return Promise.resolve(value).then(accept, (error: unknown) => {
      warn(`rejected: ${describeThrown(error)}`);
      return answer.otherwise;
    });
  } catch (error) {
    warn(`threw: ${describeThrown(error)}`);
    return answer.otherwise;
  }
}

/** Keeps the rejection of a promise that stands where no promise is awaited from being an unhandled one. */
export function ignoreRejection(value: unknown): void {
  if (isThenable(value)) Promise.resolve(value).catch(() => undefined);
}

/** Calls `use` with the decision: at once, or when its promise has resolved. */
export function whenDecided<T>(decision: T | Promise<T>, use: (decision: T) => void): void {
  if (decision instanceof Promise) void decision.then(use);
  else use(decision);
}
