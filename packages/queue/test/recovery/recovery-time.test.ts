import { expect, test } from '@jest/globals';
import { BackendError } from '../../src/errors.ts';
import { openTestQueue } from '../open-queue.ts';

/** Of the second that the README promises, the most that the queue itself may take once a link is back. */
const OWN_SHARE_MS = 500;
const STEP_MS = 10;

test.each([0, 1, 200])(
  'with %i jobs in the fallback, the first job is handled within half a second of the link being back',
  async (waiting) => {
    const { queue, backend, clock } = openTestQueue({ fallback: 'memory' });
    const handled: unknown[] = [];
    queue.process('t', ({ payload }) => void handled.push(payload));
    backend.up();
    const ready = queue.ready();
    await clock.advance(5_000);
    await ready;
    backend.down();
    backend.failAttempt(new BackendError('unreachable', 'connection refused'));
    await queue.enqueueMany(
      't',
      Array.from({ length: waiting }, (_, payload) => ({ payload })),
    );
    await clock.advance(60_000);
    expect(handled).toEqual([]);
    backend.up();
    const backAtMs = clock.now();
    const next = queue.enqueue('t', 'next');
    while (handled.length === 0 && clock.now() - backAtMs < 60_000) await clock.advance(STEP_MS);
    expect(clock.now() - backAtMs).toBeLessThanOrEqual(OWN_SHARE_MS);
    await next;
    await queue.close();
  },
);
