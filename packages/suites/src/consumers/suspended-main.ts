/** A consumer that reports each start of a job: `node suspended-main.ts <options as JSON>`. */
import { once } from 'node:events';
import { sleep, systemClock } from '@holdfast/foundation';
import { createQueueAdapter } from '@holdfast/queue';
import type { SuspendedConsumerOptions } from '../child.ts';

const options: SuspendedConsumerOptions = JSON.parse(process.argv[2] ?? '');
const { topic, topics = {}, handlerMs, process: given } = options;
const queue = createQueueAdapter({ redis: { url: options.url }, topics });
queue.process(
  topic,
  async ({ payload, attempt }, { signal }) => {
    process.send?.(payload);
    if (payload === 'until aborted') {
      if (!signal.aborted) await once(signal, 'abort');
      process.send?.('aborted');
      throw new Error('it was aborted');
    }
    if (payload === 'fails once' && attempt === 1) throw new Error('not yet');
    await sleep(systemClock, handlerMs);
  },
  given,
);
process.once('disconnect', () => void queue.close());
