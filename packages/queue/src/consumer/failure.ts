import { isNativeError } from 'node:util/types';

/** The most characters of a reason, of a stack, and the most reasons of earlier failures that a dead letter keeps. */
const MAX_REASON = 1_000;
const MAX_STACK = 8_000;
const MAX_HISTORY = 10;

/** The reason of a job whose attempts are used up, although its last handler never threw. */
export const PROCESS_DIED = 'its process died: the handler never returned';

/** What a handler threw, as bounded text; it may be anything, also an object without a prototype. */
export function failureOf(error: unknown): { readonly reason: string; readonly stack?: string } {
  const reason = bounded(textOf(error), MAX_REASON);
  const stack = stackOf(error);
  return { reason, ...(stack !== undefined && { stack: bounded(stack, MAX_STACK) }) };
}

/** The latest reasons; the reason of the next failure has room besides them. */
export function boundedHistory(history: readonly string[]): string[] {
  return history.slice(1 - MAX_HISTORY).map((reason) => bounded(reason, MAX_REASON));
}

function textOf(error: unknown): string {
  try {
    return String(error);
  } catch {
    return 'the handler threw an object that has no text';
  }
}

function stackOf(error: unknown): string | undefined {
  try {
    const stack: unknown = isNativeError(error) ? error.stack : undefined;
    return typeof stack === 'string' ? stack : undefined;
  } catch {
    return undefined;
  }
}

function bounded(text: string, maxLength: number): string {
  if (text.length <= maxLength) return text;
  return `${text.slice(0, maxLength - 1).toWellFormed()}…`;
}
