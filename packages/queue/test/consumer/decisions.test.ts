import { expect, test } from '@jest/globals';
import { nextEvent } from '@holdfast/foundation';
import { JobTimeoutError, UnrecoverableError } from '../../src/errors.ts';
import { memoryLedger } from '../../src/ledger/memory-ledger.ts';
import type { Handler } from '../../src/queue.ts';
import { upQueues } from '../open-queue.ts';

const openUp = upQueues();

/** The numbers of the attempts, until the job is buried. */
async function untilBuried(
  handler: Handler,
  options: object,
): Promise<{ attempts: number[]; reason: string }> {
  const { queue, clock } = await openUp();
  const attempts: number[] = [];
  const buried = nextEvent(queue, 'dead-lettered');
  queue.process(
    't',
    (job, context) => {
      attempts.push(job.attempt);
      return handler(job, context);
    },
    { ...options },
  );
  await queue.enqueue('t', 1);
  const { reason } = await clock.settle(buried);
  return { attempts, reason };
}

function thrower(error: unknown): () => never {
  return () => {
    throw error;
  };
}

/** As that of another library, or of another copy of this one. */
class ForeignError extends Error {
  override readonly name = 'UnrecoverableError';
}

test.each<[string, Error]>([
  ['ours', new UnrecoverableError('no')],
  ['one of its name', new ForeignError('no')],
])(
  'an unrecoverable error, %s, buries a job at once, also where failures block',
  async (_, error) => {
    for (const whenExhausted of ['dead-letter', 'block'] as const) {
      const { attempts, reason } = await untilBuried(thrower(error), { whenExhausted });
      expect([attempts, reason]).toEqual([[1], 'UnrecoverableError: no']);
    }
  },
);

test('what retry says holds where failures block, too', async () => {
  const { attempts } = await untilBuried(thrower(new Error('no')), {
    whenExhausted: 'block',
    retry: (_: unknown, attempt: number) => (attempt < 5 ? 0 : 'bury'),
  });
  expect(attempts).toEqual([1, 2, 3, 4, 5]);
});

test.each<[string, () => unknown]>([
  ['throws', thrower(new Error('broken'))],
  ['returns NaN', () => Number.NaN],
  ['returns a negative delay', () => -1],
  ['returns a promise', async () => 'bury'],
  ['rejects', async () => thrower(new Error('broken'))()],
  ['returns another word', () => 'drop'],
  ['returns nothing', () => undefined],
])('where retry %s, the other options hold', async (_, retry) => {
  const { attempts } = await untilBuried(thrower(new Error('no')), {
    maxAttempts: 3,
    retry,
  });
  expect(attempts).toEqual([1, 2, 3]);
});

/** Never fails for its signal's sake: it ends when it is let. */
function stubborn(): { handler: Handler; end: () => void; signals: AbortSignal[] } {
  const signals: AbortSignal[] = [];
  let end = (): void => undefined;
  return {
    signals,
    end: () => end(),
    handler(_, { signal }) {
      signals.push(signal);
      return new Promise((resolve) => {
        end = () => resolve(undefined);
      });
    },
  };
}

test('a handler that ignores its signal keeps its job until it ends, and has handled it then', async () => {
  const { queue, clock, backend } = await openUp();
  const { handler, end, signals } = stubborn();
  const timedOut = nextEvent(queue, 'timed-out');
  const consumer = queue.process('t', handler, { timeoutMs: 500, leaseMs: 1_000 });
  await queue.enqueue('t', 1, { jobId: 'a' });
  await clock.settle(timedOut);
  expect(signals[0]?.reason).toBeInstanceOf(JobTimeoutError);
  await clock.advance(20_000);
  expect([signals.length, consumer.getStats().running]).toEqual([1, 1]);
  end();
  await clock.advance(10);
  expect(consumer.getStats()).toMatchObject({ handled: 1, failed: 0, running: 0 });
  expect(backend.topics.get('t')?.entries).toEqual([]);
});

test('each attempt has its own time and its own signal, also where failures block', async () => {
  for (const whenExhausted of ['dead-letter', 'block'] as const) {
    const signals: AbortSignal[] = [];
    const { attempts, reason } = await untilBuried(
      (_, { signal }) => {
        expect(signal.aborted).toBe(false);
        signals.push(signal);
        return new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(new Error('stopped')));
        });
      },
      {
        whenExhausted,
        timeoutMs: 50,
        retry: (__: unknown, attempt: number) => (attempt < 3 ? 1 : 'bury'),
      },
    );
    expect(attempts).toEqual([1, 2, 3]);
    expect(new Set(signals).size).toBe(3);
    expect(reason).toContain('its handler took longer than 50 ms');
  }
});

test('an unrecoverable error after the time was up buries the job', async () => {
  const { attempts } = await untilBuried(
    (_, { signal }) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(new UnrecoverableError('no')));
      }),
    { timeoutMs: 50 },
  );
  expect(attempts).toEqual([1]);
});

test('the ledger has no entry of an attempt whose time was up, and one of the next', async () => {
  const { queue, clock } = await openUp();
  const ledger = memoryLedger();
  const attempts: number[] = [];
  queue.process(
    't',
    async ({ attempt }, { signal }) => {
      attempts.push(attempt);
      if (attempt > 1) return;
      await new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(new Error('stopped')));
      });
    },
    { ledger, timeoutMs: 50 },
  );
  await queue.enqueue('t', 1, { jobId: 'a' });
  await clock.advance(20_000);
  expect(attempts).toEqual([1, 2]);
});

test('a handler that ends in time leaves no timer, and is not told anything later', async () => {
  const { queue, clock } = await openUp();
  const signals: AbortSignal[] = [];
  const consumer = queue.process('t', (_, { signal }) => void signals.push(signal), {
    timeoutMs: 50,
  });
  await queue.enqueueMany('t', [{ payload: 1 }, { payload: 2 }]);
  await clock.advance(1_000);
  expect(consumer.getStats().handled).toBe(2);
  expect(signals.map(({ aborted }) => aborted)).toEqual([false, false]);
});
