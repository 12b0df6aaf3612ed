import type { SyncLock } from '@holdfast/catalog';

/** The lock of a process that is the only one to sync. */
export const loneLock: SyncLock = {
  name: 'alone',
  acquire: async ({ above = 0 } = {}) => ({
    token: above + 1,
    signal: new AbortController().signal,
    async release() {},
  }),
  async close() {},
};
