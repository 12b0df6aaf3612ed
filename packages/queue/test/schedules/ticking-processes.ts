import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Clock, seededRandom } from '@holdfast/foundation';
import type { FakeClock } from '@holdfast/foundation/testing';
import { DurableQueue } from '../../src/durable-queue.ts';
import { BackendError } from '../../src/errors.ts';
import { type QueueOptions, parseQueueOptions } from '../../src/options.ts';
import {
  MemoryScheduleStore,
  type ScheduleNotice,
  type ScheduleRecord,
  type ScheduleStore,
} from '../../src/schedules/schedule-store.ts';
import { FakeBackend } from '../fake/fake-backend.ts';

const STEP_MS = 1_000;
/** A tick takes a few turns of the event loop: the job on its way, and the answer about the schedule. */
const TURNS = 6;

/** Lets time pass in steps, so that what a tick sets going takes little of it. */
export async function pass(fake: FakeClock, byMs: number): Promise<void> {
  for (let leftMs = byMs; leftMs > 0; leftMs -= STEP_MS) {
    await fake.advance(Math.min(STEP_MS, leftMs));
    for (let turn = 0; turn < TURNS; turn += 1) await nextTurn();
  }
}

/** A fake server with a clock of its own, which keeps schedules. */
export class TickingServer {
  readonly root: FakeBackend;
  readonly #clock: FakeClock;
  #store: MemoryScheduleStore;
  stepMs = 0;

  constructor(clock: FakeClock) {
    this.#clock = clock;
    this.root = new FakeBackend(undefined, clock);
    this.#store = this.#emptyStore();
  }

  get epochMs(): number {
    return this.#clock.epochMs() + this.stepMs;
  }

  /** The server knows no schedule any more. */
  forgetSchedules(): void {
    this.#store = this.#emptyStore();
  }

  exchange(...args: Parameters<ScheduleStore['exchange']>): Promise<ScheduleRecord> {
    return this.#store.exchange(...args);
  }

  /** The ids of all jobs of a topic that nobody has taken. */
  idsOf(topic: string): string[] {
    return (this.root.topics.get(topic)?.entries ?? []).map(({ id }) => id);
  }

  #emptyStore(): MemoryScheduleStore {
    return new MemoryScheduleStore(() => this.epochMs);
  }
}

class TickingBackend extends FakeBackend {
  readonly schedules: ScheduleStore;
  isReachable = false;

  constructor(server: TickingServer, clock: Clock) {
    super(server.root, clock);
    this.schedules = {
      exchange: async (topic: string, name: string, notice: ScheduleNotice) => {
        if (!this.isReachable) throw new BackendError('unreachable', 'it is down');
        return server.exchange(topic, name, notice);
      },
    };
  }
}

/** A process with a queue on the server, a link to it, and a wall clock of its own. */
export class TickingProcess {
  readonly queue: DurableQueue;
  readonly #backend: TickingBackend;
  wallStepMs = 0;

  constructor(server: TickingServer, fake: FakeClock, options: Partial<QueueOptions> = {}) {
    const clock: Clock = {
      now: () => fake.now(),
      epochMs: () => fake.epochMs() + this.wallStepMs,
      schedule: (...timer) => fake.schedule(...timer),
    };
    this.#backend = new TickingBackend(server, clock);
    const resolved = parseQueueOptions({
      redis: { url: 'redis://127.0.0.1:1' },
      clock,
      random: seededRandom(1),
      ...options,
    });
    this.queue = new DurableQueue(this.#backend, resolved);
  }

  get isUp(): boolean {
    return this.#backend.isReachable;
  }

  up(): void {
    this.#backend.isReachable = true;
    this.#backend.up();
  }

  down(): void {
    this.#backend.isReachable = false;
    this.#backend.down();
  }
}
