import { type Queue, createQueueAdapter } from '@holdfast/queue';

const { JOBS_DIRECTORY = 'jobs', REDIS_URL = 'redis://127.0.0.1:6379' } = process.env;

declare global {
  var ordersQueue: Queue | undefined;
}

// On globalThis: each reload, and each bundle that has this file, runs it again in the same process.
export const jobs = (globalThis.ordersQueue ??= createQueueAdapter({
  redis: { url: REDIS_URL },
  fallback: { journal: { directory: JOBS_DIRECTORY } },
}));
