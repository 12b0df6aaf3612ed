import { callbackify } from 'node:util';

/** The last way a library answers: with an error, or with none and the answer. */
export type NodeCallback = (error: unknown, answer?: unknown) => void;

/** The arguments without the callback at their end, and that callback. */
export function splitCallback(args: readonly unknown[]): {
  readonly args: readonly unknown[];
  readonly callback: NodeCallback | undefined;
} {
  const last = args.at(-1);
  if (!isCallback(last)) return { args, callback: undefined };
  return { args: args.slice(0, -1), callback: last };
}

/** Settles a callback as the promise does, or gives the promise when there is none. */
export function settleCallback(
  answer: Promise<unknown>,
  callback: NodeCallback | undefined,
): unknown {
  if (callback === undefined) return answer;
  callbackify(() => answer)(callback);
  return undefined;
}

function isCallback(value: unknown): value is NodeCallback {
  return typeof value === 'function';
}
