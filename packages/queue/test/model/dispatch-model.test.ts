import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { openJournal } from '@holdfast/journal';
import { createMemoryFileSystem } from '@holdfast/journal/testing';
import { isHoldfastError, nextEvent, seededRandom } from '@holdfast/foundation';
import { createFakeClock } from '@holdfast/foundation/testing';
import { DurableQueue } from '../../src/durable-queue.ts';
import { BackendError } from '../../src/errors.ts';
import type { JournalFactory } from '../../src/fallback/open-fallback.ts';
import { parseQueueOptions } from '../../src/options.ts';
import { FakeBackend } from '../fake/fake-backend.ts';

type Step =
  | { readonly kind: 'enqueue'; readonly topic: number; readonly count: number }
  | { readonly kind: 'down' | 'up' | 'lose-reply' | 'restart' | 'pass-time' | 'sync' | 'crash' }
  | { readonly kind: 'refuse'; readonly errorClass: 'busy' | 'unreachable' | 'denied' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('enqueue' as const),
      topic: fc.integer({ min: 0, max: 2 }),
      // Enough for several batches in flight.
      count: fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 41, max: 200 })),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constantFrom('down', 'up', 'lose-reply', 'restart', 'pass-time', 'sync', 'crash'),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('refuse' as const),
      errorClass: fc.constantFrom('busy', 'unreachable', 'denied'),
    }),
  },
);

function unlessClosed(error: unknown): void {
  if (!isHoldfastError(error) || error.code !== 'QUEUE_CLOSED') throw error;
}

/** Runs a story with one server and one journal directory, and compares accepted with applied jobs. */
async function play(steps: readonly Step[], acknowledge: 'local' | 'redis'): Promise<void> {
  // A disk in memory, so that the model is fast.
  const files = createMemoryFileSystem();
  const journals: JournalFactory = {
    open: (options) => openJournal({ ...options, segmentBytes: 65_536, files }),
    exists: () => Promise.resolve(false),
  };
  const clock = createFakeClock();
  const server = new FakeBackend();
  const accepted = new Map<string, number[]>();
  let number = 0;
  const start = (): { queue: DurableQueue; backend: FakeBackend } => {
    const backend = new FakeBackend(server);
    const options = parseQueueOptions({
      redis: { url: 'redis://127.0.0.1:1' },
      fallback: { journal: { directory: '/jobs', durability: 'os' } },
      acknowledge,
      clock,
      random: seededRandom(7),
    });
    return { queue: new DurableQueue(backend, options, journals), backend };
  };
  let { queue, backend } = start();
  let crash = server.sync();
  let hasLost = false;
  const waiting: Promise<unknown>[] = [];
  for (const current of steps) {
    await backend.opened;
    switch (current.kind) {
      case 'enqueue': {
        const topic = `topic-${current.topic}`;
        for (let count = 0; count < current.count; count += 1) {
          number += 1;
          const mine = number;
          const job = queue.enqueue(topic, mine).then(() => {
            accepted.set(topic, [...(accepted.get(topic) ?? []), mine]);
          });
          waiting.push(job.catch(unlessClosed));
        }
        break;
      }
      case 'down':
        backend.down();
        break;
      case 'up':
        backend.up();
        break;
      case 'lose-reply':
        backend.loseNextReply();
        break;
      case 'refuse':
        backend.refuseNext(new BackendError(current.errorClass, 'not now'));
        break;
      case 'sync':
        crash = server.sync();
        break;
      case 'crash':
        // Jobs in flight arrive first, so that there is something to lose.
        for (let turn = 0; turn < 5; turn += 1) await clock.advance(1);
        // The server goes down first, so that the queue's current connection is lost as well.
        backend.down();
        crash();
        hasLost = true;
        crash = server.sync();
        break;
      case 'pass-time':
        await clock.advance(50);
        break;
      case 'restart':
        // Jobs that went to Redis directly are retained in memory: a process that ends before it has sent them
        // again loses them.
        if (acknowledge === 'redis' && hasLost && queue.state !== 'direct') break;
        hasLost = false;
        await clock.settle(queue.close({ deadlineMs: 20 }));
        await Promise.all(waiting.splice(0));
        ({ queue, backend } = start());
        if (acknowledge === 'redis') crash = server.sync();
        break;
    }
  }
  await backend.opened;
  backend.up();
  const isSettled = (): boolean => {
    const { backlog, pending, state } = queue.getStats();
    return backlog.jobs === 0 && pending === 0 && state === 'direct';
  };
  while (!isSettled()) {
    await Promise.race([nextEvent(queue, 'state'), clock.advance(100)]);
  }
  await Promise.all(waiting);
  await clock.settle(queue.close());
  for (const [topic, jobs] of accepted) {
    const applied = (server.applied.get(topic) ?? []).map(Number);
    const sorted = applied.toSorted((a, b) => a - b);
    expect(applied).toEqual(sorted);
    expect(new Set(applied).size).toBe(applied.length);
    expect(applied).toEqual(expect.arrayContaining(jobs));
  }
}

/** Sixty stories by default, about twenty steps each; `HOLDFAST_RUNS` sets more. */
const RUNS_WITHIN_MS = 7_200_000;
const runs = Number(process.env['HOLDFAST_RUNS'] ?? 60);

test.each(['redis', 'local'] as const)(
  'with acknowledge %s, through random outages, lost replies, rejections, lossy crashes and restarts, every accepted job is applied once and in order',
  async (acknowledge) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40 }), async (steps) => {
        await play(steps, acknowledge);
      }),
      { seed: Number(process.env['HOLDFAST_SEED'] ?? 20_261_122), numRuns: runs },
    );
  },
  RUNS_WITHIN_MS,
);
