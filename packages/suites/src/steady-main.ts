/**
 * A producer under a steady load in a process of its own, so that what it costs is measured without what the
 * test keeps: `node steady-main.ts <order as JSON>`. Answers one question at a time.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { createQueueAdapter } from '@holdfast/queue';
import { sleep, systemClock } from '@holdfast/foundation';
import type { EnduranceResult, SteadyProducerOptions, SteadyProducerRequest } from './child.ts';
import { offerLoad } from './load.ts';
import { untilDirect } from './outage.ts';

const RESOLUTION_MS = 5;
const SAMPLED_EVERY_MS = 100;

const order: SteadyProducerOptions = JSON.parse(process.argv[2] ?? '');
const queue = createQueueAdapter({
  redis: { url: order.url },
  fallback: { journal: { directory: order.directory } },
});
await queue.ready();

// Nothing is kept of a job that was accepted: the test finds out by itself what became of each.
const accepted = { journal: 0, redis: 0 };
const counting = {
  accepted(_job: number, by: string): void {
    accepted[by === 'journal' ? 'journal' : 'redis'] += 1;
  },
};
const { topic, jobsPerSecond } = order;
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
