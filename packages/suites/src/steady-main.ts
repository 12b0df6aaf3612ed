/**
 * A producer under a steady load in a child process, so that the measurement excludes the memory of the
 * test: `node steady-main.ts <options as JSON>`. Answers one request at a time.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { createQueueAdapter } from '@holdfast/queue';
import { sleep, systemClock } from '@holdfast/foundation';
import type { EnduranceResult, SteadyProducerOptions, SteadyProducerRequest } from './child.ts';
import { offerLoad } from './load.ts';
import { untilDirect } from './outage.ts';

const RESOLUTION_MS = 5;
const SAMPLED_EVERY_MS = 100;

const options: SteadyProducerOptions = JSON.parse(process.argv[2] ?? '');
const queue = createQueueAdapter({
  redis: { url: options.url },
  fallback: { journal: { directory: options.directory } },
});
await queue.ready();

// Accepted jobs are not kept: the test follows each of them itself.
const accepted = { journal: 0, redis: 0 };
const counting = {
  accepted(_job: number, by: string): void {
    accepted[by === 'journal' ? 'journal' : 'redis'] += 1;
  },
};
const { topic, jobsPerSecond } = options;
const load = offerLoad(queue, counting, { topic, jobsPerSecond });

const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
let before = process.memoryUsage.rss();
let peak = before;
const sample = (): void => {
  peak = Math.max(peak, process.memoryUsage.rss());
};
const over = new AbortController();
const sampling = async (): Promise<void> => {
  while (!over.signal.aborted) {
    sample();
    await sleep(systemClock, SAMPLED_EVERY_MS, over.signal).catch(() => undefined);
  }
};

const measured = (refused: readonly unknown[]): EnduranceResult => {
  sample();
  return {
    accepted: { ...accepted },
    refused: refused.map(String),
    depth: queue.health().depth,
    grownBytes: peak - before,
    loopDelayP99Ms: delay.percentile(99) / 1e6 - RESOLUTION_MS,
  };
};

const answers: Record<SteadyProducerRequest, () => Promise<EnduranceResult>> = {
  async mark() {
    delay.reset();
    delay.enable();
    before = process.memoryUsage.rss();
    peak = before;
    return measured([]);
  },
  async stop() {
    const { refused } = await load.stop();
    delay.disable();
    return measured(refused);
  },
  async direct() {
    await untilDirect(queue);
    return measured([]);
  },
};

process.on('message', (question: SteadyProducerRequest) => {
  void answers[question]().then((answer) => process.send?.(answer));
});
process.once('disconnect', () => {
  over.abort();
  void load.stop().then(() => queue.close());
});
await sampling();
