/** The contracts as Jest tests: the guarantees of a queue to its callers, and of a backend to its queue. */
export { honoursBackendContract } from './contract/backend.ts';
export type { OpenBackend } from './contract/opened.ts';
export { type OpenQueue, honoursQueueContract } from './contract/queue.ts';
export { createRedisBackend } from './redis/backend.ts';
export type { StoreGuarantee } from './contract/guarantees.ts';
