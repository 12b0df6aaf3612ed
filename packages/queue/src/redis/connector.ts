import type { ConnectorOption } from './lookup-connector.ts';

/**
 * The options that stop a client from queueing, resending and reconnecting by itself; with `redis.lookup` also a
 * `Connector` that uses it.
 */
export interface RequiredOptions extends ConnectorOption {
  /** False: a command whose reply was lost is sent again by the queue alone, with its number. */
  autoResendUnfulfilledCommands: false;
  /** How long a connection attempt may take, in milliseconds. */
  connectTimeout: number;
  /** True: `CLIENT SETINFO` is not sent, which old servers and some users' rights refuse. */
  disableClientInfo: true;
  /** False: a command without a connection fails at once, and the job goes to the fallback. */
  enableOfflineQueue: false;
  /** False: the queue finds out by itself whether the server is ready. */
  enableReadyCheck: false;
  /** True: the queue decides when to connect. */
  lazyConnect: true;
  /** Null: the client gives no command up by itself. */
  maxRetriesPerRequest: null;
  /** For ioredis 6; older ones speak only this protocol. */
  protocol: 2;
  /** Never reconnects: the queue makes a new connection. */
  retryStrategy: () => null;
}

/** The part of a client that is used; a `Redis` of ioredis 5 and 6 has it. */
export interface IoredisClient {
  readonly options: {
    readonly host?: string | undefined;
    readonly port?: number | undefined;
    readonly db?: number | undefined;
  };
  readonly stream?:
    | {
        destroy(): unknown;
        on?(event: 'data', listener: () => void): unknown;
        /** With those that are buffered. */
        readonly bytesWritten?: number;
      }
    | null
    | undefined;
  on(event: 'error', listener: (error: unknown) => void): unknown;
  once(event: 'close', listener: () => void): unknown;
  connect(): Promise<unknown>;
  disconnect(): void;
  role(): Promise<readonly unknown[]>;
  call(command: string, ...args: (string | number | Buffer)[]): Promise<unknown>;
}

/**
 * Creates an ioredis client that is not connected yet. It has to apply `required` last: Holdfast itself waits,
 * resends and reconnects, and a client that did so too would do it twice.
 */
export type RedisConnector = (required: RequiredOptions) => IoredisClient;

export function requiredOptions(connectTimeoutMs: number): RequiredOptions {
  return {
    lazyConnect: true,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    enableReadyCheck: false,
    retryStrategy: () => null,
    maxRetriesPerRequest: null,
    connectTimeout: connectTimeoutMs,
    disableClientInfo: true,
    protocol: 2,
  };
}
