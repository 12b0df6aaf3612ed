import { join } from 'node:path';
import { type Clock, sleep } from '@holdfast/foundation';
import { createQueueAdapter } from '@holdfast/queue';
import { DemoLedger } from '../ledger.ts';
import type { Load } from './load.ts';

const TOPIC = 'orders';
const POLL_MS = 20;

interface JobLoadOptions {
  readonly url: string;
  /** Of the demo; the journal has a folder in it. */
  readonly directory: string;
  readonly clock: Clock;
}

/** Jobs that a consumer handles; each has to be handled once. */
export function openJobLoad({ url, directory, clock }: JobLoadOptions): Load {
  const queue = createQueueAdapter({
    redis: { url },
    fallback: { journal: { directory: join(directory, 'jobs') } },
    prefix: 'holdfast-demo',
    // A frozen server is noticed in a fraction of the time for which it is frozen.
    commandTimeoutMs: 250,
    connectTimeoutMs: 250,
    reconnect: { maxDelayMs: 100 },
  });
  const handled = new Map<number, number>();
  queue.process(
    TOPIC,
    ({ payload }) => {
      const number = Number(payload);
      handled.set(number, (handled.get(number) ?? 0) + 1);
    },
    { concurrency: 10 },
  );
  const ledger = new DemoLedger();
  const isSettled = async (): Promise<boolean> => {
    if (queue.getStats().backlog.jobs > 0) return false;
    const { waiting, pending } = await queue.inspect(TOPIC).counts();
    // What waits could be handled a second time.
    return waiting + pending === 0 && ledger.acceptedNumbers().every((each) => handled.has(each));
  };
  return {
    unit: 'jobs',
    ledger,
    async handOver(number) {
      return (await queue.enqueue(TOPIC, number)).accepted === 'redis';
    },
    async find(signal) {
      while (!signal.aborted && !(await isSettled().catch(() => false))) {
        await sleep(clock, POLL_MS, signal).catch(() => undefined);
      }
      return handled;
    },
    close: () => queue.close({ deadlineMs: 2_000 }),
  };
}
