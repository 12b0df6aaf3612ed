import type { Clock } from '@holdfast/foundation';
import type { IoredisClient, RequiredOptions } from '../connector.ts';

/** Finds the server that a connection needs. */
export interface ServerResolver {
  /**
   * Finds the server and creates a client that is not connected yet.
   * @throws BackendError when the server cannot be found.
   */
  createClient(required: RequiredOptions): Promise<IoredisClient>;
  /**
   * Verifies that the connected server is the right one.
   * @throws BackendError when it is not.
   */
  verify(client: IoredisClient): Promise<void>;
  /** Whether the server is still the right one, as far as other servers can tell. */
  isCurrent(client: IoredisClient): Promise<boolean>;
}

export interface ServerResolverOptions {
  readonly clock: Clock;
  readonly connectTimeoutMs: number;
  readonly pingIntervalMs: number;
}

/** Creates a resolver for the node that serves a slot; without a slot, for any node. */
export type CreateResolver = (slot?: number) => ServerResolver;
