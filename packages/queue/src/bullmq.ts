/** Stores the queue's jobs in BullMQ. Gives no more guarantees than BullMQ: a job is added at least once. */
export { createBullmqBackend } from './bullmq/backend.ts';
