import { randomUUID } from 'node:crypto';
import { type Clock, sleep } from '@holdfast/foundation';
import { Job, Worker } from 'bullmq';
import type { Delivery, LastDeliveries, RecoveredDeliveries, Subscription } from '../backend.ts';
import type { ManagedConnection } from '../redis/connection/managed-connection.ts';
import { jobOptionsOf } from '../producer/job-options.ts';
import type { BullmqClients } from './clients.ts';
import { type JobData, counting, deliveriesMade, parseJobData } from './job-data.ts';

/** The pause after an empty fetch: BullMQ's own blocking read cannot be cut short. */
const POLL_MS = 50;
/** Disables BullMQ's own limit: the queue counts the attempts of jobs whose consumers die. */
const MAX_STALLED = 1_000_000;

interface BullmqSubscriptionDeps {
  readonly topic: string;
  readonly connection: ManagedConnection;
  readonly clients: BullmqClients;
  readonly clock: Clock;
  readonly leaseMs: number;
}

/** Pulls jobs from a BullMQ worker that does not run by itself. */
export class BullmqSubscription implements Subscription {
  readonly #deps: BullmqSubscriptionDeps;
  readonly #token = randomUUID();
  /** The deliveries that are not settled, with their numbers, by their handles. */
  readonly #taken = new Map<string, number>();
  /** When the jobs that this consumer has put aside are due, by the monotonic clock and their handles. */
  readonly #delayed = new Map<string, number>();
  #last: LastDeliveries = { delivery: Infinity, max: 0 };
  /** The job that was taken for its last delivery, and is not settled. */
  #alone: string | undefined;
  #worker: { readonly generation: number; readonly worker: Promise<Worker<JobData>> } | undefined;

  constructor(deps: BullmqSubscriptionDeps) {
    this.#deps = deps;
  }

  whenConnected(signal: AbortSignal): Promise<void> {
    return this.#deps.connection.whenConnected(signal);
  }

  async fetch(max: number, waitMs: number = POLL_MS, signal?: AbortSignal): Promise<Delivery[]> {
    const taken: Delivery[] = [];
    while (taken.length < max) {
      const job = await this.#call(async (worker) =>
        worker.getNextJob(this.#token, { block: false }),
      );
      if (job === undefined) break;
      const delivery = deliveryOf(job);
      this.#delayed.delete(delivery.handle);
      if (!this.#mayTake(delivery)) {
        await this.release([{ ...delivery, deliveries: delivery.deliveries - 1 }]);
        break;
      }
      this.#taken.set(delivery.handle, delivery.deliveries);
      taken.push(delivery);
    }
    await this.#promoteDelayed();
    if (taken.length === 0) {
      const { clock } = this.#deps;
      await sleep(clock, Math.min(POLL_MS, waitMs), signal).catch(() => undefined);
    }
    return taken;
  }

  /** BullMQ promotes by the wall clock of a consumer, which may have been set back since a job was put aside. */
  async #promoteDelayed(): Promise<void> {
    const nowMs = this.#deps.clock.now();
    for (const [handle, dueMs] of this.#delayed) {
      if (dueMs > nowMs) continue;
      await this.#settle(handle, (job) => job.promote());
      this.#delayed.delete(handle);
    }
  }

  /** A job that consumers died with runs alone among its like for its last delivery, as `recover` asks for. */
  #mayTake({ isRecovered, deliveries, crashes = 0, handle, attributes }: Delivery): boolean {
    const { delivery, isOfCrashes = false } = this.#last;
    const isLast = isOfCrashes
      ? crashes + 1 === delivery
      : deliveries === (jobOptionsOf(attributes).maxAttempts ?? delivery);
    if (isRecovered !== true || !isLast) return true;
    this.#alone ??= handle;
    return this.#alone === handle;
  }

  /** BullMQ itself returns the jobs of dead consumers to the queue, so that `fetch` delivers them. */
  async recover(
    held: readonly string[],
    _max?: number,
    _mayTakeOver?: boolean,
    last?: LastDeliveries,
  ): Promise<RecoveredDeliveries> {
    if (last !== undefined) this.#last = last;
    if (this.#alone !== undefined && !held.includes(this.#alone)) this.#alone = undefined;
    if (held.length === 0) {
      await this.#call(async () => undefined);
      return { deliveries: [], lost: [] };
    }
    const tokens = held.map(() => this.#token);
    const { leaseMs } = this.#deps;
    const unlocked = await this.#call((worker) =>
      worker.extendJobLocks([...held], tokens, leaseMs),
    );
    const lost: string[] = [];
    const gone: string[] = [];
    for (const handle of unlocked) ((await this.#exists(handle)) ? lost : gone).push(handle);
    return { deliveries: [], lost, ...(gone.length > 0 && { gone }) };
  }

  async acknowledge(handles: readonly string[]): Promise<void> {
    await Promise.all(
      handles.map((handle) =>
        this.#settle(handle, (job) => job.moveToCompleted('handled', this.#token, false)),
      ),
    );
  }

  async deadLetter(
    { handle, deliveries }: Delivery,
    reason: string,
    stack?: string,
  ): Promise<void> {
    const error = new Error(reason);
    // BullMQ keeps the stack of its error.
    error.stack = stack ?? '';
    await this.#settle(handle, async (job) => {
      await job.updateData(counting(deliveries, job));
      await job.moveToFailed(error, this.#token, false);
    });
  }

  async retryLater({ handle, deliveries }: Delivery, delayMs: number): Promise<'delayed'> {
    const { clock } = this.#deps;
    const dueAtMs = Math.round(clock.epochMs() + delayMs);
    await this.#settle(handle, async (job) => {
      await job.updateData(counting(deliveries, job));
      await job.moveToDelayed(dueAtMs, this.#token);
      this.#delayed.set(handle, clock.now() + delayMs);
    });
    return 'delayed';
  }

  async release(jobs: readonly Pick<Delivery, 'handle' | 'deliveries'>[]): Promise<void> {
    for (const { handle, deliveries } of jobs) {
      await this.#settle(handle, async (job) => {
        const isCounted = deliveries === deliveriesMade(job);
        if (!isCounted) await job.updateData(counting(deliveries, job));
        await job.moveToWait(this.#token);
      });
    }
  }

  async close(held: readonly string[] = []): Promise<void> {
    const left = [...this.#taken].filter(([handle]) => !held.includes(handle));
    const jobs = left.map(([handle, number]) => ({ handle, deliveries: number - 1 }));
    await this.release(jobs).catch(() => undefined);
    await this.#closeWorker();
  }

  async #closeWorker(): Promise<void> {
    const worker = await this.#worker?.worker.catch(() => undefined);
    await worker?.close(true).catch(() => undefined);
  }

  /** A job that was handled or removed is not lost to another consumer. */
  #exists(handle: string): Promise<boolean> {
    return this.#call(async (worker) => {
      const job: Job<JobData> | undefined = await Job.fromId(worker, handle);
      return job !== undefined && job.finishedOn === undefined;
    });
  }

  /** Ignores a job that was removed or is locked by another consumer. */
  async #settle(handle: string, settle: (job: Job<JobData>) => Promise<unknown>): Promise<void> {
    await this.#call(async (worker) => {
      const job: Job<JobData> | undefined = await Job.fromId(worker, handle);
      if (job === undefined) return;
      try {
        await settle(job);
      } catch (error) {
        if (!isLostJob(error)) throw error;
      }
    });
    this.#taken.delete(handle);
    if (this.#alone === handle) this.#alone = undefined;
  }

  #call<T>(run: (worker: Worker<JobData>) => Promise<T>): Promise<T> {
    return this.#deps.connection.call(async () => run(await this.#current()));
  }

  /** The worker of the current connection: the worker of a lost one may never answer. */
  #current(): Promise<Worker<JobData>> {
    const { clients, topic, leaseMs } = this.#deps;
    if (this.#worker?.generation !== clients.generation) {
      void this.#closeWorker();
      this.#worker = {
        generation: clients.generation,
        worker: this.#create(clients, topic, leaseMs),
      };
    }
    return this.#worker.worker;
  }

  async #create(clients: BullmqClients, topic: string, leaseMs: number): Promise<Worker<JobData>> {
    const worker = new Worker<JobData>(clients.nameOf(topic), undefined, {
      ...clients.options,
      autorun: false,
      lockDuration: leaseMs,
      stalledInterval: leaseMs,
      maxStalledCount: MAX_STALLED,
    });
    worker.on('error', () => undefined);
    await worker.waitUntilReady();
    await worker.startStalledCheckTimer();
    return worker;
  }
}

/** Result codes of BullMQ's scripts: the job or its lock is missing, it is not active, or it is another consumer's. */
const LOST_CODES: ReadonlySet<unknown> = new Set([-1, -2, -3, -6]);

function isLostJob(error: unknown): boolean {
  return error instanceof Error && 'code' in error && LOST_CODES.has(error.code);
}

function deliveryOf(job: Job<JobData>): Delivery {
  const { history, ...data } = parseJobData(job.data);
  const crashes = job.stalledCounter - (job.data.counted?.stalls ?? 0);
  const diedWithIt = crashes > 0;
  return {
    ...data,
    handle: job.id ?? '',
    deliveries: deliveriesMade(job) + 1,
    ...(history.length > 0 && { history }),
    ...(diedWithIt && { isRecovered: true, crashes }),
  };
}
