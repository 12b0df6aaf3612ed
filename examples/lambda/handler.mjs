import { createQueueAdapter } from '@holdfast/queue';

const {
  JOBS_DIRECTORY = '/tmp/jobs',
  REDIS_URL = 'redis://127.0.0.1:6379',
  WAIT_MS = '2000',
} = process.env;

// Outside of the handler: one for all invocations of this execution environment.
const queue = createQueueAdapter({
  redis: { url: REDIS_URL },
  // It outlives a timeout of the function, which kills the process, but not the execution environment.
  fallback: { journal: { directory: JOBS_DIRECTORY } },
});
await queue.ready();

/** Resolves with whether Redis has all jobs. After the response nothing runs until the next invocation. */
function delivered(withinMs) {
  if (queue.getStats().backlog.jobs === 0) return Promise.resolve(true);
  return new Promise((resolve) => {
    const timer = setTimeout(() => done(false), withinMs);
    const stop = queue.on('drained', () => done(true));
    function done(result) {
      clearTimeout(timer);
      stop();
      resolve(result);
    }
  });
}

export async function handler(event) {
  try {
    // The caller's id: when it calls again after a 503, the job is there once.
    const { id, accepted } = await queue.enqueue('orders', event.order, { jobId: event.orderId });
    if (accepted === 'redis' || (await delivered(Number(WAIT_MS)))) {
      return { statusCode: 202, body: JSON.stringify({ id }) };
    }
    return { statusCode: 503, headers: { 'retry-after': '1' }, body: '' };
  } catch (error) {
    return { statusCode: 503, body: JSON.stringify({ code: error.code }) };
  }
}
