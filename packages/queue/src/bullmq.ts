/** BullMQ as a store of the queue. It refuses to promise what BullMQ does not: a job is added at least once. */
export { createBullmqBackend } from './bullmq/backend.ts';
