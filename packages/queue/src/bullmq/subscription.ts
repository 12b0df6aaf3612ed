import { randomUUID } from 'node:crypto';
import { type Clock, sleep } from '@holdfast/foundation';
import { Job, Worker } from 'bullmq';
import type { Delivery, RecoveredDeliveries, Subscription } from '../backend.ts';
import type { ManagedConnection } from '../redis/connection/managed-connection.ts';
import type { BullmqClients } from './clients.ts';
import { type JobData, readData } from './job-data.ts';

/** How long a fetch that found nothing waits: BullMQ's own waiting cannot be cut short. */
const POLL_MS = 50;
/** A job that fails by dying consumers is judged by the attempts of the queue, not of BullMQ. */
const MAX_STALLED = 1_000_000;

export interface BullmqSubscriptionDeps {
  readonly topic: string;
  readonly link: ManagedConnection;
  readonly side: BullmqClients;
  readonly clock: Clock;
  readonly leaseMs: number;
}

/** A worker that is asked for jobs instead of running by itself. */
export class BullmqSubscription implements Subscription {
  readonly #parts: BullmqSubscriptionDeps;
  readonly #token = randomUUID();
  #worker: { readonly generation: number; readonly made: Promise<Worker<JobData>> } | undefined;

  constructor(parts: BullmqSubscriptionDeps) {
    this.#parts = parts;
  }

  whenConnected(signal: AbortSignal): Promise<void> {
    return this.#parts.link.whenConnected(signal);
  }

  async fetch(max: number): Promise<Delivery[]> {
    const taken: Delivery[] = [];
    while (taken.length < max) {
      const job = await this.#ask(async (worker) =>
        worker.getNextJob(this.#token, { block: false }),
      );
      if (job === undefined) break;
      taken.push(deliveryOf(job));
    }
    if (taken.length === 0) await sleep(this.#parts.clock, POLL_MS);
    return taken;
  }

  /** What a silent consumer held BullMQ puts back by itself, so that it is fetched. */
  async recover(held: readonly string[]): Promise<RecoveredDeliveries> {
    if (held.length === 0) {
      await this.#ask(async () => undefined);
      return { deliveries: [], lost: [] };
    }
    const tokens = held.map(() => this.#token);
    const { leaseMs } = this.#parts;
    const unlocked = await this.#ask((worker) => worker.extendJobLocks([...held], tokens, leaseMs));
    const lost: string[] = [];
    for (const handle of unlocked) if (await this.#isThere(handle)) lost.push(handle);
    return { deliveries: [], lost };
  }

  async acknowledge(handles: readonly string[]): Promise<void> {
    await Promise.all(
      handles.map((handle) =>
        this.#settle(handle, (job) => job.moveToCompleted('handled', this.#token, false)),
      ),
    );
  }

  async deadLetter({ handle }: Delivery, reason: string): Promise<void> {
    await this.#settle(handle, (job) => job.moveToFailed(new Error(reason), this.#token, false));
  }

  async close(): Promise<void> {
    const worker = await this.#worker?.made.catch(() => undefined);
    await worker?.close(true).catch(() => undefined);
  }

  /** What is handled or gone is not lost to anybody. */
  #isThere(handle: string): Promise<boolean> {
    return this.#ask(async (worker) => {
      const job: Job<JobData> | undefined = await Job.fromId(worker, handle);
      return job !== undefined && job.finishedOn === undefined;
    });
  }

  /** A job that is gone, or another's by now, is left alone: its lock says so. */
  async #settle(handle: string, settle: (job: Job<JobData>) => Promise<unknown>): Promise<void> {
    await this.#ask(async (worker) => {
      const job: Job<JobData> | undefined = await Job.fromId(worker, handle);
      if (job === undefined) return;
      try {
        await settle(job);
      } catch (error) {
        if (!isNotOurs(error)) throw error;
      }
    });
  }

  #ask<T>(ask: (worker: Worker<JobData>) => Promise<T>): Promise<T> {
    return this.#parts.link.call(async () => ask(await this.#current()));
  }

  /** A worker of the present connection: one of a lost one may wait for ever. */
  #current(): Promise<Worker<JobData>> {
    const { side, topic, leaseMs } = this.#parts;
    if (this.#worker?.generation !== side.generation) {
      void this.close();
      this.#worker = { generation: side.generation, made: this.#make(side, topic, leaseMs) };
    }
    return this.#worker.made;
  }

  async #make(side: BullmqClients, topic: string, leaseMs: number): Promise<Worker<JobData>> {
    const worker = new Worker<JobData>(side.nameOf(topic), undefined, {
      ...side.options,
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

/** BullMQ numbers what its scripts found: the job is missing, its lock is, it is not active, or another's. */
const NOT_OURS: ReadonlySet<unknown> = new Set([-1, -2, -3, -6]);

function isNotOurs(error: unknown): boolean {
  return error instanceof Error && 'code' in error && NOT_OURS.has(error.code);
}

function deliveryOf(job: Job<JobData>): Delivery {
  const { history, ...data } = readData(job.data);
  return {
    ...data,
    handle: job.id ?? '',
    deliveries: Math.max(1, job.attemptsStarted),
    ...(history.length > 0 && { history }),
  };
}
