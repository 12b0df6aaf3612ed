import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, expect, jest, test } from '@jest/globals';
import { BackendError, type EnqueueManyOptions, type QueueOptions } from '../../src/index.ts';
import { type TestQueue, openTestQueue } from '../open-queue.ts';

const opened: TestQueue[] = [];

afterEach(async () => {
  for (const { queue, clock } of opened.splice(0)) {
    await clock.settle(queue.close({ deadlineMs: 1 }).catch(() => undefined));
    expect(clock.pendingTimers).toBe(0);
  }
});

interface AbortedList extends TestQueue {
  /** Aborted with `reason` by the tests. */
  readonly leaving: AbortController;
  readonly reason: Error;
  readonly options: EnqueueManyOptions;
  /** The jobs that the caller was informed of, in that order; each is its index in the list. */
  readonly reported: number[];
  /** The numbers in the answers. */
  readonly acceptors: Set<string>;
}

function open(options: Partial<QueueOptions> = {}): AbortedList {
  const opening = openTestQueue({ maxPendingJobs: 100, ...options });
  opened.push(opening);
  const reported: number[] = [];
  const acceptors = new Set<string>();
  const leaving = new AbortController();
  return {
    ...opening,
    reported,
    acceptors,
    leaving,
    reason: new Error('leaving'),
    options: {
      signal: leaving.signal,
      onAccepted: ({ accepted }, index) => {
        reported.push(index);
        acceptors.add(accepted);
      },
    },
  };
}

/** A queue whose Redis is up. */
async function openUp(options: Partial<QueueOptions> = {}): Promise<AbortedList> {
  const one = open(options);
  await one.backend.opened;
  one.backend.up();
  await one.queue.ready();
  return one;
}

/** A queue without Redis, whose jobs go to the fallback. */
async function openDown(options: Partial<QueueOptions> = {}): Promise<AbortedList> {
  const one = open(options);
  await one.backend.opened;
  one.backend.failAttempt(new BackendError('unreachable', 'connection refused'));
  return one;
}

const list = (count: number): { payload: number }[] =>
  Array.from({ length: count }, (_, payload) => ({ payload }));

const applied = ({ backend }: TestQueue): number[] => (backend.applied.get('t') ?? []).map(Number);

function failureOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => 'none',
    (error: unknown) => error,
  );
}

test.each([
  ['a list that fits into the memory', 90, {}],
  ['a list that is sent in parts', 1_000, {}],
  ['a list of a bounded topic', 300, { topics: { t: { maxJobs: 400 } } }],
  ['a list that waits for room', 300, { backpressure: 'wait', maxPendingBytes: 200 }],
] as const)(
  '%s, aborted while jobs are on their way: the reason itself at once, and of each accepted job its index',
  async (_, count, options) => {
    const one = await openUp(options);
    const { queue, backend, leaving, reason, reported } = one;
    const at = Math.floor(count / 2);
    backend.refuseJobs(({ payload }) => {
      // The batch is being applied, and its reply comes after the abort.
      if (Number(payload) === at) leaving.abort(reason);
      return undefined;
    });
    expect(await failureOf(queue.enqueueMany('t', list(count), one.options))).toBe(reason);
    await queue.enqueue('t', count);
    const taken = applied(one);
    expect(taken.at(-1)).toBe(count);
    expect(taken).toContain(at);
    expect(reported.toSorted((left, right) => left - right)).toEqual(taken.slice(0, -1));
    expect(queue.getStats().pending).toBe(0);
  },
);

test('jobs on their way to the fallback when the list is aborted are reported once they are in it', async () => {
  const one = await openDown();
  const { queue, leaving, reason, reported, acceptors } = one;
  const many = failureOf(queue.enqueueMany('t', list(1_000), one.options));
  while (reported.length === 0) await nextTurn();
  leaving.abort(reason);
  expect(await many).toBe(reason);
  await queue.enqueue('t', 1_000);
  const { jobs } = queue.getStats().backlog;
  expect(jobs).toBeLessThan(1_000);
  expect(reported).toEqual(list(jobs - 1).map(({ payload }) => payload));
  expect([...acceptors]).toEqual(['memory']);
});

test('a list that is aborted before its first job is sent tells of none, and none arrives', async () => {
  const one = open();
  const { queue, backend, leaving, reason, reported } = one;
  await backend.opened;
  const many = failureOf(queue.enqueueMany('t', list(90), one.options));
  leaving.abort(reason);
  expect(await many).toBe(reason);
  backend.up();
  await queue.enqueue('t', 90);
  expect(applied(one)).toEqual([90]);
  expect(reported).toEqual([]);
});

test('a lost reply is not reported as accepted unless the job is confirmed', async () => {
  const one = await openUp();
  const { queue, backend, leaving, reason, reported } = one;
  backend.refuseJobs(({ payload }) => {
    if (payload === '10') {
      leaving.abort(reason);
      backend.down();
    }
    return undefined;
  });
  backend.loseNextReply();
  expect(await failureOf(queue.enqueueMany('t', list(50), one.options))).toBe(reason);
  backend.refuseJobs(() => undefined);
  backend.up();
  await queue.enqueue('t', 50);
  // Redis has them, and this process cannot know it: nobody sends again what its caller has given up.
  expect(reported.every((index) => applied(one).includes(index))).toBe(true);
  expect(applied(one)).toEqual([...new Set(applied(one))]);
});

test('without an abort each job is reported once, in order, with the answer of the list', async () => {
  const one = await openUp();
  const answers = await one.queue.enqueueMany('t', list(250), one.options);
  expect(answers).toHaveLength(250);
  expect(one.reported).toEqual(list(250).map(({ payload }) => payload));
  one.leaving.abort(one.reason);
  expect(one.reported).toHaveLength(250);
});

test('jobs behind a full fallback are not reported, those before it are', async () => {
  const one = await openDown({ maxBacklogJobs: 130 });
  const error = await failureOf(one.queue.enqueueMany('t', list(500), one.options));
  expect(error).toMatchObject({ code: 'QUEUE_PARTIALLY_ENQUEUED', accepted: { length: 130 } });
  expect(one.reported).toEqual(list(130).map(({ payload }) => payload));
});

test('two lists of one signal are reported apart', async () => {
  const one = await openUp();
  const { queue, backend, leaving, reason } = one;
  const reported = { t: 0, u: 0 };
  const many = (['t', 'u'] as const).map((topic) =>
    failureOf(
      queue.enqueueMany(topic, list(500), {
        signal: leaving.signal,
        onAccepted: () => (reported[topic] += 1),
      }),
    ),
  );
  backend.refuseJobs(({ payload }) => {
    if (payload === '200') leaving.abort(reason);
    return undefined;
  });
  expect(await Promise.all(many)).toEqual([reason, reason]);
  await Promise.all([queue.enqueue('t', 'end'), queue.enqueue('u', 'end')]);
  expect(reported.t).toBe((backend.applied.get('t') ?? []).length - 1);
  expect(reported.u).toBe((backend.applied.get('u') ?? []).length - 1);
});

test.each([
  [
    'throws',
    () => {
      throw new Error('mistaken');
    },
  ],
  ['rejects', () => Promise.reject(new Error('mistaken'))],
])('a callback that %s becomes a warning; the list is accepted', async (_, onAccepted) => {
  const one = await openUp();
  const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
  try {
    expect(await one.queue.enqueueMany('t', list(1), { onAccepted })).toHaveLength(1);
    await nextTurn();
    expect(warned.mock.calls).toEqual([
      [expect.stringMatching(/onAccepted of enqueueMany (threw|rejected): Error: mistaken/u)],
    ]);
  } finally {
    warned.mockRestore();
  }
});

test.each([
  ['onAccepted', 'yes'],
  ['signal', 'soon'],
  ['delayMs', 5],
])('enqueueMany refuses the option %s: %s by its name', async (field, value) => {
  const { queue } = await openUp();
  const options: object = { [field]: value };
  await expect(queue.enqueueMany('t', list(1), options)).rejects.toMatchObject({ field });
});
