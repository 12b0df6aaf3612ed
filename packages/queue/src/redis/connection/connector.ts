import type { Redis, RedisOptions } from 'ioredis';

/** What every client has to be told: neither to queue, nor to resend, nor to reconnect by itself. */
export type RequiredOptions = Pick<
  RedisOptions,
  | 'autoResendUnfulfilledCommands'
  | 'connectTimeout'
  | 'disableClientInfo'
  | 'enableOfflineQueue'
  | 'enableReadyCheck'
  | 'lazyConnect'
  | 'maxRetriesPerRequest'
  | 'protocol'
  | 'retryStrategy'
>;

/**
 * Makes an ioredis client that is not connected yet. It has to apply `required` last: Holdfast does the
 * waiting, the resending and the reconnecting itself, and a client that did it too would do it twice.
 */
export type RedisConnector = (required: RequiredOptions) => Redis;

export function requiredOptions(connectTimeoutMs: number): RequiredOptions {
  return {
    lazyConnect: true,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    enableReadyCheck: false,
    retryStrategy: null,
    maxRetriesPerRequest: null,
    connectTimeout: connectTimeoutMs,
    disableClientInfo: true,
    protocol: 2,
  };
}
