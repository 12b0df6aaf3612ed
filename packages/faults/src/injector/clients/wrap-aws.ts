import { settleCallback, splitCallback } from './node-callback.ts';
import { type Execute, wrapMembers } from './wrap-members.ts';

/** The method of a client of the AWS SDK v3, such as `S3Client`, that is wrapped. */
export interface AwsClient {
  send(...args: never[]): unknown;
}

/**
 * Wraps a client so that faults are injected before and after each command that is sent: by `send`, by the methods of an
 * aggregated client such as `S3`, by paginators, waiters and uploads of `lib-storage`. What sends nothing, such as a
 * presigner, is left alone.
 */
export function wrapAws<Client extends AwsClient>(client: Client, execute: Execute): Client {
  return wrapMembers(client, {
    inject(key, member, target, { proxy }) {
      // Any other method sends by the wrapper, as its own `send`.
      if (key !== 'send') return (args) => Reflect.apply(member, proxy, args);
      return (given) => {
        const { args, callback } = splitCallback(given);
        const signal = signalOf(args[1]);
        const call = async (): Promise<unknown> => Reflect.apply(member, target, args);
        const result = execute(call, undefined, signal, args).catch((error: unknown) => {
          throw signal?.aborted === true && error === signal.reason ? abortError(error) : error;
        });
        return settleCallback(result, callback);
      };
    },
  });
}

/** The `abortSignal` of a command's options. */
function signalOf(options: unknown): AbortSignal | undefined {
  if (typeof options !== 'object' || options === null || !('abortSignal' in options)) {
    return undefined;
  }
  const { abortSignal } = options;
  return abortSignal instanceof AbortSignal ? abortSignal : undefined;
}

/** The error with which the SDK itself rejects after an abort. */
function abortError(reason: unknown): Error {
  const error = new Error('Request aborted', { cause: reason });
  error.name = 'AbortError';
  return error;
}
