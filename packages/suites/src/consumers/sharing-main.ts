/** A process that shares the limits and schedules of others: `node sharing-main.ts <options as JSON>`. */
import { sleep, systemClock } from '@holdfast/foundation';
import { createQueueAdapter } from '@holdfast/queue';
import type { SharingOptions, SharingReport } from './sharing.ts';

const options: SharingOptions = JSON.parse(process.argv[2] ?? '');
const { topic, handlerMs = 0, limits, leaseMs = 1_000, everyMs } = options;
const queue = createQueueAdapter({
  redis: { url: options.url },
  fallback: { journal: { directory: options.directory } },
});
const report = (said: SharingReport): void => void process.send?.(said);
if (limits !== undefined) {
  queue.process(
    topic,
    async ({ id }) => {
      report({ kind: 'started', id, atMs: systemClock.epochMs() });
      await sleep(systemClock, handlerMs);
      report({ kind: 'ended', id, atMs: systemClock.epochMs() });
    },
    // Each kill counts as an attempt of the jobs that were running.
    { limits, leaseMs, concurrency: 5, maxAttempts: 1_000 },
  );
}
if (everyMs !== undefined) {
  queue.on('ticked', ({ id, accepted }) => report({ kind: 'ticked', id, accepted }));
  await queue.schedule('often', { everyMs }, topic, null, { missed: 'all', maxMissed: 1_000 });
}
process.once('disconnect', () => void queue.close());
