import { expect, test } from '@jest/globals';
import {
  type Bulkhead,
  type CallPriority,
  type Release,
  createBulkhead,
} from '@holdfast/resilience';
import { type FakeClock, createFakeClock } from '@holdfast/foundation/testing';
import {
  type Arbitrary,
  array,
  assert,
  asyncProperty,
  boolean,
  constant,
  constantFrom,
  integer,
  nat,
  oneof,
  record,
} from 'fast-check';

const seed = 20_261_122;
const order = ['high', 'normal', 'low'] as const satisfies readonly CallPriority[];
const QUEUE_TIMEOUT_MS = 100;

type Step =
  | { do: 'arrive'; priority: CallPriority }
  | { do: 'try' }
  | { do: 'release'; which: number; twice: boolean }
  | { do: 'abort'; which: number }
  | { do: 'pass'; ms: number }
  | { do: 'clear' };

const step: Arbitrary<Step> = oneof(
  {
    weight: 60,
    arbitrary: record({ do: constant('arrive'), priority: constantFrom(...order) }),
  },
  { weight: 20, arbitrary: record({ do: constant('try') }) },
  { weight: 50, arbitrary: record({ do: constant('release'), which: nat(), twice: boolean() }) },
  { weight: 20, arbitrary: record({ do: constant('abort'), which: nat() }) },
  { weight: 20, arbitrary: record({ do: constant('pass'), ms: integer({ min: 1, max: 60 }) }) },
  { weight: 1, arbitrary: record({ do: constant('clear') }) },
);

interface Waiter {
  readonly id: number;
  readonly priority: CallPriority;
  readonly dueMs: number;
}

/** What a bulkhead is to do, in the plainest words: arrays, searched from the front. */
class BulkheadModel {
  readonly holders: number[] = [];
  readonly waiting: Waiter[] = [];
  /** How each call ended its wait. */
  readonly ended = new Map<number, string>();
  readonly #maxConcurrent: number;
  readonly #maxQueueSize: number;

  constructor(maxConcurrent: number, maxQueueSize: number) {
    this.#maxConcurrent = maxConcurrent;
    this.#maxQueueSize = maxQueueSize;
  }

  hasRoom(): boolean {
    return this.holders.length < this.#maxConcurrent;
  }

  admit(id: number): void {
    this.holders.push(id);
    this.ended.set(id, 'admitted');
  }

  arrive(newcomer: Waiter): void {
    if (this.hasRoom()) {
      this.admit(newcomer.id);
    } else if (this.waiting.length < this.#maxQueueSize) {
      this.waiting.push(newcomer);
    } else {
      const victim = this.#victimOf(newcomer.priority);
      this.ended.set((victim ?? newcomer).id, 'RESILIENCE_BULKHEAD_FULL');
      if (victim !== undefined) this.waiting.push(newcomer);
    }
  }

  release(id: number): void {
    this.holders.splice(this.holders.indexOf(id), 1);
    for (const priority of order) {
      const next = this.waiting.find((waiter) => waiter.priority === priority);
      if (next === undefined) continue;
      this.leave(next);
      this.admit(next.id);
      return;
    }
  }

  leave(waiter: Waiter, how?: string): void {
    this.waiting.splice(this.waiting.indexOf(waiter), 1);
    if (how !== undefined) this.ended.set(waiter.id, how);
  }

  #victimOf(priority: CallPriority): Waiter | undefined {
    for (const rank of order.toReversed()) {
      if (rank === priority) return undefined;
      const last = this.waiting.findLast((waiter) => waiter.priority === rank);
      if (last === undefined) continue;
      this.leave(last);
      return last;
    }
    return undefined;
  }
}

/** One run of a bulkhead beside its model. */
class Run {
  readonly clock: FakeClock = createFakeClock();
  readonly bulkhead: Bulkhead;
  readonly model: BulkheadModel;
  readonly ended = new Map<number, string>();
  readonly #releases = new Map<number, Release>();
  readonly #controllers = new Map<number, AbortController>();
  #lastId = 0;

  constructor(maxConcurrent: number, maxQueueSize: number) {
    const { clock } = this;
    this.model = new BulkheadModel(maxConcurrent, maxQueueSize);
    this.bulkhead = createBulkhead({
      maxConcurrent,
      maxQueueSize,
      queueTimeoutMs: QUEUE_TIMEOUT_MS,
      clock,
    });
  }

  async take(action: Step): Promise<void> {
    switch (action.do) {
      case 'arrive':
        this.#arrive(action.priority);
        break;
      case 'try':
        this.#try();
        break;
      case 'release':
        this.#release(pick(this.model.holders, action.which), action.twice);
        break;
      case 'abort':
        this.#abort(pick(this.model.waiting, action.which));
        break;
      case 'pass':
        await this.#pass(action.ms);
        break;
      case 'clear':
        this.bulkhead.clear();
        this.#leaveAll(() => true, 'RESILIENCE_BULKHEAD_CLEARED');
        break;
    }
    await this.clock.advance(0);
  }

  #arrive(priority: CallPriority): void {
    const id = (this.#lastId += 1);
    const controller = new AbortController();
    this.#controllers.set(id, controller);
    this.bulkhead.acquire({ signal: controller.signal, priority }).then(
      (release) => {
        this.#releases.set(id, release);
        this.ended.set(id, 'admitted');
        return undefined;
      },
      (error: { code: string }) => this.ended.set(id, error.code),
    );
    this.model.arrive({ id, priority, dueMs: this.clock.now() + QUEUE_TIMEOUT_MS });
  }

  #try(): void {
    const release = this.bulkhead.tryAcquire();
    const id = (this.#lastId += 1);
    if (this.model.hasRoom()) this.model.admit(id);
    if (release === undefined) return;
    this.#releases.set(id, release);
    this.ended.set(id, 'admitted');
  }

  #release(id: number | undefined, twice: boolean): void {
    if (id === undefined) return;
    this.#releases.get(id)?.();
    if (twice) this.#releases.get(id)?.();
    this.model.release(id);
  }

  #abort(waiter: Waiter | undefined): void {
    if (waiter === undefined) return;
    this.#controllers.get(waiter.id)?.abort({ code: 'left' });
    this.model.leave(waiter, 'left');
  }

  async #pass(ms: number): Promise<void> {
    await this.clock.advance(ms);
    this.#leaveAll(({ dueMs }) => dueMs <= this.clock.now(), 'RESILIENCE_BULKHEAD_TIMEOUT');
  }

  #leaveAll(which: (waiter: Waiter) => boolean, how: string): void {
    for (const waiter of this.model.waiting.filter(which)) this.model.leave(waiter, how);
  }
}

function pick<T>(from: readonly T[], which: number): T | undefined {
  return from[which % Math.max(1, from.length)];
}

test('in any order of events a bulkhead does what its model does', async () => {
  await assert(
    asyncProperty(
      integer({ min: 1, max: 3 }),
      integer({ min: 0, max: 4 }),
      array(step, { minLength: 30, maxLength: 150, size: 'max' }),
      async (maxConcurrent, maxQueueSize, steps) => {
        const run = new Run(maxConcurrent, maxQueueSize);
        for (const action of steps) {
          await run.take(action);
          const { holders, waiting, ended } = run.model;
          expect(run.ended).toEqual(ended);
          expect(run.bulkhead.getStats()).toMatchObject({
            activeCount: holders.length,
            queuedCount: waiting.length,
          });
          expect(run.clock.pendingTimers).toBe(Math.min(1, waiting.length));
        }
      },
    ),
    { seed, numRuns: 150 },
  );
});
