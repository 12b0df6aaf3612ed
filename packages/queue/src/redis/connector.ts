import type { Redis, RedisOptions } from 'ioredis';

/** The options that stop a client from queueing, resending and reconnecting by itself. */
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
 * Creates an ioredis client that is not connected yet. It has to apply `required` last: Holdfast itself waits,
 * resends and reconnects, and a client that did so too would do it twice.
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
