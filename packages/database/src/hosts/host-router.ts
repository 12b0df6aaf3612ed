import type { CallDeadline } from '@holdfast/foundation';
import type { Slot } from '../pool/pooled-connection.ts';

/** Where calls get their links from. */
export interface Route {
  /**
   * A link to the host that takes writes, waiting until there is one.
   * @throws as `HostPool.acquire`, and NoWritableHostError.
   */
  writable(limit: CallDeadline, timeoutMs?: number): Slot | Promise<Slot>;
  /**
   * That host refused a write because it is a standby.
   * @returns whether it is worth asking again, because another may take it.
   */
  notWritable(host: string): boolean;
}
