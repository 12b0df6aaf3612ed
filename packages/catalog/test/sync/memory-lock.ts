import { CatalogLockLostError, CatalogLockedError, type SyncLock } from '@holdfast/catalog';

/** A lock in this process. */
export interface MemoryLock extends SyncLock {
  /** The token of the last lease. */
  token: number;
  /** The holder's lease ends. */
  lose(): void;
}

export function createMemoryLock(): MemoryLock {
  let held: AbortController | undefined;
  const lock: MemoryLock = {
    name: 'memory-lock',
    token: 0,
    async acquire({ signal, above = 0 } = {}) {
      signal?.throwIfAborted();
      if (held !== undefined) throw new CatalogLockedError(lock.name);
      const controller = new AbortController();
      held = controller;
      const token = Math.max(lock.token, above) + 1;
      lock.token = token;
      return {
        token,
        signal: controller.signal,
        async release() {
          if (held === controller) held = undefined;
        },
      };
    },
    lose() {
      held?.abort(new CatalogLockLostError(lock.name, lock.token));
      held = undefined;
    },
    async close() {},
  };
  return lock;
}
