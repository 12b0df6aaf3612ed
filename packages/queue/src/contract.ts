/** The contracts as tests for Jest: what a queue owes its callers, and a store its queue. */
export { type OpenBackend, honoursBackendContract } from './contract/backend.ts';
export { type OpenQueue, honoursQueueContract } from './contract/queue.ts';
export { createRedisBackend } from './redis/backend.ts';
export type { StoreGuarantee } from './contract/guarantees.ts';
