import { callbackify } from 'node:util';

/** A callback in Node's style. */
type NodeCallback = (error: unknown, result?: unknown) => void;

/** Separates a callback at the end of the arguments from the others. */
export function splitCallback(args: readonly unknown[]): {
  readonly args: readonly unknown[];
  readonly callback: NodeCallback | undefined;
} {
  const last = args.at(-1);
  if (!isCallback(last)) return { args, callback: undefined };
  return { args: args.slice(0, -1), callback: last };
}

/** Passes the outcome of a promise to a callback, or returns the promise when there is none. */
export function settleCallback(
  result: Promise<unknown>,
  callback: NodeCallback | undefined,
): unknown {
  if (callback === undefined) return result;
  callbackify(() => result)(callback);
  return undefined;
}

function isCallback(value: unknown): value is NodeCallback {
  return typeof value === 'function';
}
