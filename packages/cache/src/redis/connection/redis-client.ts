/** The part of a client of ioredis 5 or 6 that is used, a `Redis` or a `Cluster`. */
export interface CacheRedisClient {
  readonly status: string;
  readonly isCluster?: boolean;
  /** Makes a client of the same servers; the caches never use this one itself. */
  duplicate(first?: never, second?: never): unknown;
}

/** A connection of the cache's own. */
interface OwnClient {
  readonly status: string;
  readonly stream?: { destroy(): unknown } | null;
  on(event: string, listener: (error: unknown) => void): unknown;
  connect(): Promise<unknown>;
  disconnect(reconnect?: boolean): void;
  pipeline(commands: unknown[][]): { exec(): Promise<unknown> };
}

const FIRST_RETRY_MS = 20;
const LAST_RETRY_MS = 250;
const CONNECT_TIMEOUT_MS = 2_000;

const retryStrategy = (attempt: number): number =>
  Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * attempt);

/** The cache itself waits and repeats: what a client kept for later would arrive when it is no longer true. */
const ownOptions = {
  lazyConnect: true,
  enableOfflineQueue: false,
  enableAutoPipelining: false,
  autoResendUnfulfilledCommands: false,
  enableReadyCheck: false,
  maxRetriesPerRequest: 0,
  connectTimeout: CONNECT_TIMEOUT_MS,
  disconnectTimeout: 100,
  commandTimeout: undefined,
  socketTimeout: undefined,
  disableClientInfo: true,
  // For ioredis 6; older ones speak only this protocol.
  protocol: 2,
  retryStrategy,
};
const clusterOptions = {
  lazyConnect: true,
  enableOfflineQueue: false,
  enableAutoPipelining: false,
  // A replica may not have yet what its primary has acknowledged.
  scaleReads: 'master',
  clusterRetryStrategy: retryStrategy,
  redisOptions: ownOptions,
};

export function duplicateOf(client: CacheRedisClient): OwnClient {
  const args = client.isCluster === true ? [[], clusterOptions] : [ownOptions];
  const own: unknown = Reflect.apply(Reflect.get(client, 'duplicate'), client, args);
  if (!isOwnClient(own)) throw new TypeError('duplicate() of the client returned no client');
  return own;
}

function isOwnClient(value: unknown): value is OwnClient {
  return typeof value === 'object' && value !== null && 'pipeline' in value && 'connect' in value;
}
