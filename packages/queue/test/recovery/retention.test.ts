import { expect, test } from '@jest/globals';
import { nextEvent } from '@holdfast/foundation';
import { MAX_BATCH_JOBS } from '../../src/batch-limits.ts';
import { BackendError } from '../../src/errors.ts';
import { type TestQueue, openTestQueue } from '../open-queue.ts';

const IMPORT_JOBS = 340;
const MAILS = 300;
/** The default of `retainMs`. */
const RETAIN_MS = 5_000;

test.each(['silence after the import', 'no silence'] as const)(
  'after an import that fills the memory for retention, another topic is retained as without it (%s)',
  async (when) => {
    const { queue, backend, clock } = openTestQueue({ maxRetainedBytes: 1_048_576 });
    backend.up();
    await queue.ready();
    const large = 'x'.repeat(100_000);
    for (let job = 0; job < IMPORT_JOBS / 10; job += 1) {
      await queue.enqueue('import', large);
    }
    if (when === 'silence after the import') await clock.advance(16_000);
    for (let mail = 0; mail < MAILS; mail += 1) {
      await queue.enqueue('mails', `${mail} ${'y'.repeat(1_000)}`);
    }
    // Killed without persistence.
    backend.down();
    backend.forget();
    backend.applied.clear();
    const lost = nextEvent(queue, 'server-lost-jobs');
    backend.up();
    await lost;
    await queue.enqueue('mails', 'last');
    while ((backend.applied.get('mails')?.length ?? 0) <= MAILS) await clock.advance(1);
    expect(backend.applied.get('mails')).toHaveLength(MAILS + 1);
    await clock.settle(queue.close());
  },
);

/** The payloads that the server has, as they were enqueued. */
function payloadsAt({ backend }: TestQueue, topic: string): unknown[] {
  return (backend.applied.get(topic) ?? []).map((payload) => JSON.parse(payload));
}

const refusal = new BackendError('unreachable', 'it does not answer');

/** A queue whose server takes the first window of a backlog of two, and then no other publication. */
async function openHalfDrained(
  fail: (queue: TestQueue) => void,
): Promise<{ opened: TestQueue; last: string }> {
  const opened = openTestQueue({ fallback: 'memory' });
  const { queue, backend, clock } = opened;
  await backend.opened;
  backend.failAttempt(refusal);
  const jobs = Array.from({ length: MAX_BATCH_JOBS + 1 }, (_, job) => `${job}`);
  const accepted = Promise.all(jobs.map((job) => queue.enqueue('mails', job)));
  await clock.settle(accepted);
  const drained = new Promise<void>((resolve) => {
    queue.on('state', ({ to }) => {
      if (to !== 'draining') return;
      fail(opened);
      resolve();
    });
  });
  backend.up();
  await clock.settle(drained);
  return { opened, last: jobs.at(-1) ?? '' };
}

test.each<[name: string, fail: (opened: TestQueue) => void]>([
  ['refuses what follows', ({ backend }) => backend.refuseAll(refusal)],
  [
    'loses the connection while an answer is under way',
    ({ backend }) => {
      backend.failAttempt(refusal);
      setImmediate(() => backend.refuseAll(refusal));
    },
  ],
])(
  'a server that %s in the midst of a drain, for longer than the retention time, and then forgets, gets all jobs again',
  async (_name, fail) => {
    const { opened, last } = await openHalfDrained(fail);
    const { queue, backend, clock } = opened;
    await clock.advance(3 * RETAIN_MS);
    backend.forget();
    backend.applied.clear();
    backend.refuseAll(undefined);
    const isDirect = nextEvent(queue, 'state', { matches: ({ to }) => to === 'direct' });
    await clock.settle(isDirect);
    const has = payloadsAt(opened, 'mails');
    expect(has).toHaveLength(MAX_BATCH_JOBS + 1);
    expect(new Set(has)).toContain(last);
    await clock.settle(queue.close());
  },
);
